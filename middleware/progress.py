"""Progress of a running job: `progress(done, total, message)` in an actor, visible elsewhere at once.

Calls are coalesced: a million of them cost ten writes a second, and the last one always arrives,
because it rides along with the settlement.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import dramatiq
import orjson
from dramatiq.broker import MessageProxy

from jobs.errors import CallboardError
from middleware.current import CurrentJob, running
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
    job = running.get()
    if job is not None:
        percent = round(min(100.0, max(0.0, 100 * done / total)), 1)
        job.progress = {"percent": percent, "done": done, "total": total, "message": message[:MAX_MESSAGE]}
        job.report(job.id, job.progress)


class Progress(dramatiq.Middleware):
    """`write` keeps the latest progress of jobs by id."""

    def __init__(self, write: Write) -> None:
        self._writer = _Writer(write)

    def before_process_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        job = delivery(message)
        running.set(
            CurrentJob(
                id=job.message_id,
                attempt=job.job.attempt,
                tenant_id=job.job.lane,
                user_id=job.options.get("user_id") or "",
                created_at=job.job.created_at,
                report=self._writer.put,
            )
        )

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        job = running.get()
        running.set(None)
        if job is not None and job.progress is not None:
            self._writer.forget(job.id)
            delivery(message).progress = orjson.dumps(job.progress)

    def after_skip_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        self.after_process_message(broker, message)


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
            # While the store is away newer progress follows, and the last comes with the settlement.
            with suppress(CallboardError):
                self._write(updates)
            pause.wait(WRITE_EVERY_S)
