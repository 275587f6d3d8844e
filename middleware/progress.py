"""Progress of a running job: `progress(done, total, message)` in an actor, visible elsewhere at once.

Calls are coalesced: a million of them cost ten writes a second, and the last one always arrives,
because it rides along with the settlement.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import dramatiq
import orjson
from dramatiq.broker import MessageProxy

from jobs.errors import CallboardError
from middleware.current import running
from middleware.delivery import Delivery, delivery

WRITE_EVERY_S = 0.1
MAX_MESSAGE = 200
MOST_MILESTONES = 20

#: Takes the owner, and by job id the delivery's token and its progress.
Write = Callable[[str, Mapping[str, tuple[int, bytes]]], None]


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
        latest: dict[str, Any] = {"percent": percent, "done": done, "total": total}
        latest["message"] = _printable(message)
        if job.milestones:
            latest["milestones"] = job.milestones
        job.progress = orjson.dumps(latest)
        job.reporter.put(job, job.progress)


def milestone(percent: float, message: str = "") -> None:
    """Progress that is kept: at which times the run passed which of its milestones is seen with its latest
    progress, also when they came too quickly for each to be seen by itself.

    Of the latest 20 of a run percent and time are kept; the message is seen until the next progress. Does
    nothing outside a job.
    """
    job = running.get()
    if job is not None:
        passed = round(min(100.0, max(0.0, percent)), 1), time.time_ns() // 1_000_000
        job.milestones = (*job.milestones, passed)[-MOST_MILESTONES:]
        progress(percent, message=message)


def _printable(message: str) -> str:
    # Mail brings halves of surrogate pairs, which JSON refuses.
    return message[:MAX_MESSAGE].encode("utf-8", "replace").decode()


class Progress(dramatiq.Middleware):
    """`write` keeps the latest progress of jobs."""

    def __init__(self, write: Write) -> None:
        self._writer = _Writer(write)

    def before_process_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        job = delivery(message)
        job.reporter = self._writer
        running.set(job)

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        running.set(None)
        # The last progress rides along with the settlement; a late write would be refused anyway.
        if delivery(message).progress is not None:
            self._writer.forget(delivery(message))

    def after_skip_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        self.after_process_message(broker, message)


class _Writer:
    """Writes the latest progress of all jobs of the process, at most every WRITE_EVERY_S seconds."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._latest: dict[str, dict[str, tuple[int, bytes]]] = {}  # by owner, which is one but in tests
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    def put(self, job: Delivery, latest: bytes) -> None:
        with self._lock:
            self._latest.setdefault(job.owner, {})[job.message_id] = (job.job.token, latest)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="callboard-progress", daemon=True)
                self._thread.start()
        self._wanted.set()

    def forget(self, job: Delivery) -> None:
        with self._lock:
            self._latest.get(job.owner, {}).pop(job.message_id, None)

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self._wanted.wait()
            self._wanted.clear()
            with self._lock:
                updates, self._latest = self._latest, {}
            # While the store is away newer progress follows, and the last comes with the settlement.
            for owner, of_owner in updates.items():
                with suppress(CallboardError):
                    self._write(owner, of_owner)
            pause.wait(WRITE_EVERY_S)
