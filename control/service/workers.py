"""The worker processes that are alive: a worker is listed as long as its lease is renewed."""

from typing import TYPE_CHECKING

from control.service.views import WorkerView, moment
from jobs.model import WorkerInfo

if TYPE_CHECKING:
    from actors.composition import App


class WorkerService:
    def __init__(self, app: "App") -> None:
        self._app = app

    def list(self) -> list[WorkerView]:
        """Workers whose heartbeat is fresh, the oldest first. Raises StoreUnavailable."""
        return worker_views(self._app.broker.store.workers())


def worker_views(workers: list[WorkerInfo]) -> list[WorkerView]:
    """The registry's entries as a person sees them."""
    return [_view(worker) for worker in sorted(workers, key=lambda worker: worker.started_at)]


def _view(worker: WorkerInfo) -> WorkerView:
    return WorkerView(
        name=worker.name or worker.owner,
        host=worker.host,
        pid=worker.pid,
        version=worker.version,
        threads=worker.threads,
        queues=sorted(worker.queues),
        started_at=moment(worker.started_at),
        lease_until=moment(worker.lease_until),
    )
