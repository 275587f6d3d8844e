"""The worker processes that are alive: a worker is listed as long as its lease is renewed."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from control.service.errors import UnknownWorker
from control.service.views import WorkerDetail, WorkerView, moment
from jobs.model import WorkerInfo

if TYPE_CHECKING:
    from actors.composition import App


class WorkerService:
    def __init__(self, app: "App") -> None:
        self._app = app

    def list(self) -> list[WorkerView]:
        """Workers whose heartbeat is fresh, the oldest first. Raises StoreUnavailable."""
        return worker_views(self._app.store.workers())

    def get(self, name: str) -> WorkerDetail:
        """One worker by its owner, or by a name that only one has, and what it holds.

        Raises UnknownWorker, StoreUnavailable.
        """
        workers = self._app.store.workers()
        found = [worker for worker in workers if worker.owner == name] or [
            worker for worker in workers if worker.name == name
        ]
        if len(found) != 1:
            raise UnknownWorker(_none_or_many(name, found or workers, many=bool(found)))
        (worker,) = found
        return WorkerDetail(
            **_fields(worker), actors=sorted(worker.actors), jobs=sorted(self._app.store.owned(worker.owner))
        )


def worker_views(workers: Iterable[WorkerInfo]) -> list[WorkerView]:
    """The registry's entries as a person sees them."""
    return [WorkerView(**_fields(one)) for one in sorted(workers, key=lambda one: one.started_at)]


def _fields(worker: WorkerInfo) -> dict[str, Any]:
    return {
        "owner": worker.owner,
        "name": worker.name or worker.owner,
        "host": worker.host,
        "pid": worker.pid,
        "version": worker.version,
        "threads": worker.threads,
        "queues": sorted(worker.queues),
        "running": worker.running,
        "memory_bytes": worker.memory_bytes,
        "started_at": moment(worker.started_at),
        "seen_at": moment(worker.seen_at) if worker.seen_at else None,
        "lease_until": moment(worker.lease_until),
    }


def _none_or_many(name: str, workers: Iterable[WorkerInfo], *, many: bool) -> str:
    owners = ", ".join(sorted(worker.owner for worker in workers))
    if many:
        return f"several workers are named {name!r}; give one of their owners: {owners}"
    return f"no living worker is named {name[:128]!r}; " + (f"alive: {owners}" if owners else "none is alive")
