"""Progress of a running job: `progress(done, total, message)` in an actor, visible elsewhere at once.

Calls are coalesced: a million of them cost ten writes a second, and the last one always arrives,
because it rides along with the settlement.
"""

import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

import dramatiq
import orjson
from dramatiq.broker import MessageProxy

from jobs.errors import CallboardError
from middleware.delivery import delivery

WRITE_EVERY_S = 0.1
MAX_MESSAGE = 200

Write = Callable[[Mapping[str, bytes]], None]


def progress(done: float, total: float = 100, message: str = "") -> None:
    """Say how far this job is: `done` of `total` (percent by default), with a short message.

    Does nothing outside a job, so that actors can be called as plain functions. Raises ValueError for
    a total that is not above 0.
    """
    if total <= 0:
        raise ValueError("total must be above 0")
    job = _current.get()
    if job is not None:
        percent = min(100.0, max(0.0, 100 * done / total))
        job.report(
            {"percent": round(percent, 1), "done": done, "total": total, "message": message[:MAX_MESSAGE]}
        )


class Progress(dramatiq.Middleware):
    """`write` keeps the latest progress of jobs by id."""

    def __init__(self, write: Write) -> None:
        self._writer = _Writer(write)

    def before_process_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        _current.set(_Job(message.message_id, self._writer))

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        job = _current.get()
        _current.set(None)
        if job is not None and job.latest is not None:
            self._writer.forget(job.id)
            delivery(message).progress = orjson.dumps(job.latest)

    def after_skip_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        self.after_process_message(broker, message)


class _Job:
    __slots__ = ("id", "latest", "writer")

    def __init__(self, job_id: str, writer: "_Writer") -> None:
        self.id = job_id
        self.latest: dict[str, Any] | None = None
        self.writer = writer

    def report(self, latest: dict[str, Any]) -> None:
        self.latest = latest
        self.writer.put(self.id, latest)


_current: ContextVar[_Job | None] = ContextVar("callboard_job", default=None)


class _Writer:
    """Writes the latest progress of all jobs of the process, at most every WRITE_EVERY_S seconds."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._latest: dict[str, dict[str, Any]] = {}
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    def put(self, job_id: str, latest: dict[str, Any]) -> None:
        with self._lock:
            self._latest[job_id] = latest
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="callboard-progress", daemon=True)
                self._thread.start()
        self._wanted.set()

    def forget(self, job_id: str) -> None:
        with self._lock:
            self._latest.pop(job_id, None)

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self._wanted.wait()
            self._wanted.clear()
            with self._lock:
                updates = {job_id: orjson.dumps(latest) for job_id, latest in self._latest.items()}
                self._latest.clear()
            try:
                self._write(updates)
            except CallboardError:
                # The store is away: newer progress follows, and the last comes with the settlement.
                pass
            pause.wait(WRITE_EVERY_S)
