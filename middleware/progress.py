"""Progress of a running job: `progress(done, total, message)` in an actor, visible elsewhere at once.

Calls are coalesced: a million of them cost ten writes a second, and the last one always arrives,
because it rides along with the settlement.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, SupportsFloat, SupportsIndex

import dramatiq
import orjson
from dramatiq.broker import MessageProxy

from jobs.errors import CallboardError
from middleware.current import running
from middleware.delivery import Delivery, delivery

logger = logging.getLogger(__name__)

WRITE_EVERY_S = 0.1
MAX_MESSAGE = 200
MOST_MILESTONES = 20
#: Beyond it a whole number is shown as a rounded one.
LARGEST = 2**53

#: Also a Decimal, a Fraction, a number of numpy's.
Number = SupportsFloat | SupportsIndex
#: Takes the owner, and by job id the delivery's token and its progress.
Write = Callable[[str, Mapping[str, tuple[int, bytes]]], None]


def progress(done: Number, total: Number = 100, message: object = "") -> None:
    """Say how far this job is: `done` of `total` (percent by default), with a short message.

    Numbers are what `float()` takes, the message what has a text. It never fails the job that it reports:
    what is no number, and a total that is not above 0, is passed over, and the log says so once for the
    actor. Does nothing outside a job, so that actors can be called as plain functions.
    """
    job = running.get()
    if job is not None and (reporter := job.reporter) is not None:
        try:
            reporter.put(job, _report(job, done, total, message))
        except Exception as error:  # noqa: BLE001
            reporter.refuse(job, error)


def milestone(percent: Number, message: object = "") -> None:
    """Progress that is kept: at which times the run passed which of its milestones is seen with its latest
    progress, also when they came too quickly for each to be seen by itself.

    Of the latest 20 of a run percent and time are kept; the message is seen until the next progress. It
    never fails the job, as `progress` does not. Does nothing outside a job.
    """
    job = running.get()
    if job is not None and (reporter := job.reporter) is not None:
        try:
            passed = _percent(_number(percent), 100), time.time_ns() // 1_000_000
            job.milestones = (*job.milestones, passed)[-MOST_MILESTONES:]
            reporter.put(job, _report(job, percent, 100, message))
        except Exception as error:  # noqa: BLE001
            reporter.refuse(job, error)


def _report(job: Delivery, done: Number, total: Number, message: object) -> bytes:
    done, total = _number(done), _number(total)
    if total <= 0:
        raise ValueError("total must be above 0")
    latest: dict[str, Any] = {"percent": _percent(done, total), "done": done, "total": total}
    latest["message"] = "" if message is None else _printable(str(message))
    if job.milestones:
        latest["milestones"] = job.milestones
    job.progress = orjson.dumps(latest)
    return job.progress


def _number(given: Number) -> float:
    """A number that JSON has: a Decimal is not, nor what is beyond 64 bits, nor NaN."""
    if type(given) is int and -LARGEST <= given <= LARGEST:
        return given
    number = float(given)
    if not math.isfinite(number):
        raise ValueError("it is no finite number")
    return number


def _percent(done: float, total: float) -> float:
    return round(min(100.0, max(0.0, 100 * done / total)), 1)


def _printable(message: str) -> str:
    # Mail brings halves of surrogate pairs, which JSON refuses.
    return message[:MAX_MESSAGE].encode("utf-8", "replace").decode()


class Progress(dramatiq.Middleware):
    """`write` keeps the latest progress of jobs."""

    def __init__(self, write: Write) -> None:
        self._writer = _Writer(write)

    def before_process_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        delivery(message).reporter = self._writer

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
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
        self._refused: set[str] = set()  # actors whose reports could not be shown
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    def put(self, job: Delivery, latest: bytes) -> None:
        with self._lock:
            self._latest.setdefault(job.owner, {})[job.message_id] = (job.job.token, latest)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="callboard-progress", daemon=True)
                self._thread.start()
        self._wanted.set()

    def refuse(self, job: Delivery, why: Exception) -> None:
        """What it reports cannot be shown. The error's own text may quote it."""
        with self._lock:
            known = job.actor_name in self._refused
            self._refused.add(job.actor_name)
        if not known:
            logger.warning(
                "%s reports progress that cannot be shown, and goes on without (%s): "
                "progress() takes numbers, with a total above 0",
                job,
                type(why).__name__,
            )

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
