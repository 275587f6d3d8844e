"""The API's `/metrics`: what Prometheus reads of the whole board, and of this process."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from control.api.schedule_metrics import schedule_gauges
from control.service.names import declared_queues
from jobs.errors import StoreUnavailable
from middleware.tallies import Gauges

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from actors.composition import App
    from jobs.model import QueueStats

PATH = "/metrics"
_STATES = ("waiting", "active", "delayed", "blocked", "resting", "completed", "failed", "cancelled")


def add_metrics(api: "FastAPI", app: "App") -> None:
    """Serve it. Whether a key is needed is the guard's business."""
    board = Board(app)

    async def metrics(request: Request) -> Response:
        text, kind = await run_in_threadpool(board.read, request.headers.get("accept", ""))
        return Response(text, media_type=kind)

    api.add_api_route(PATH, metrics, include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Board:
    """All queues and workers, read from the store at each scrape."""

    app: "App"

    def read(self, accept: str) -> tuple[bytes, str]:
        """The series in the form that the reader accepts, and its content type."""
        from prometheus_client.exposition import choose_encoder

        from middleware.metric_series import registry_of

        instruments = self.app.instruments
        sources = (*instruments.sources, self.gauges, lambda: schedule_gauges(self.app))
        registry = registry_of(instruments.tallies, sources)
        encode, kind = choose_encoder(accept)
        return encode(registry), kind

    def gauges(self) -> Iterable[Gauges]:
        """The board as it is now; with the store away only that it is."""
        store, up = self.app.store, "callboard_store_up"
        about = "Whether the job store answers."
        try:
            stats, workers = store.stats(declared_queues(self.app)), store.workers()
        except StoreUnavailable:
            yield Gauges(up, about, rows=(((), 0),))
            return
        yield Gauges(up, about, rows=(((), 1),))
        yield Gauges("callboard_workers", "Worker processes that are alive.", rows=(((), len(workers)),))
        threads = sum(worker.threads for worker in workers)
        yield Gauges("callboard_worker_threads", "Threads of all workers.", rows=(((), threads),))
        running = sum(worker.running for worker in workers)
        yield Gauges("callboard_worker_running", "Jobs that they run.", rows=(((), running),))
        memory = max((worker.memory_bytes for worker in workers), default=0)
        yield Gauges("callboard_worker_memory_bytes_max", "Of the largest worker.", rows=(((), memory),))
        yield Gauges(
            "callboard_queue_workers",
            "Workers that serve a queue.",
            ("queue",),
            tuple(((one.queue,), sum(one.queue in worker.queues for worker in workers)) for one in stats),
        )
        yield from _queues(stats)


def _queues(stats: "list[QueueStats]") -> Iterable[Gauges]:
    yield Gauges(
        "callboard_queue_jobs",
        "Jobs by state; resting ones count as waiting too.",
        ("queue", "state"),
        tuple(((one.queue, state), getattr(one, state)) for one in stats for state in _STATES),
    )

    def each(name: str, about: str, number: "Callable[[QueueStats], float]", counter: bool = False) -> Gauges:
        return Gauges(name, about, ("queue",), tuple(((one.queue,), number(one)) for one in stats), counter)

    yield each(
        "callboard_queue_oldest_waiting_seconds",
        "How long the oldest waiting job has waited.",
        lambda one: (one.oldest_waiting_ms or 0) / 1000,
    )
    yield each("callboard_queue_paused", "Whether a queue is paused.", lambda one: one.paused)
    yield each("callboard_queue_dead_letters", "Dead letters routed here.", lambda one: one.dead_letters)
    yield each(
        "callboard_queue_completed", "Jobs that ever completed.", lambda one: one.completed_total, True
    )
    yield each(
        "callboard_queue_failed", "Jobs that ever failed for good.", lambda one: one.failed_total, True
    )
    yield each("callboard_queue_retries", "Runs that were to be repeated.", lambda one: one.retries, True)
