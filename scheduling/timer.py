"""APScheduler as the timer, and nothing more: one job in memory, whose next time is what the engine says."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor  # type: ignore[import-untyped]
from apscheduler.jobstores.base import JobLookupError  # type: ignore[import-untyped]
from apscheduler.schedulers.background import BackgroundScheduler  # type: ignore[import-untyped]
from apscheduler.triggers.base import BaseTrigger  # type: ignore[import-untyped]

#: Even when nothing is due the engine is called so often, in seconds: who watches sees that it lives.
IDLE_S = 5.0
_JOB = "fire"


class Timer:
    """Calls `step` in a thread of its own, at the moment that the last call gave, and at `wake`.

    What `step` raises goes to `failed`, and the timer stands still then.
    """

    def __init__(self, step: Callable[[], datetime | None], failed: Callable[[BaseException], None]) -> None:
        self.beat = time.monotonic()
        self._step = step
        self._failed = failed
        self._one_at_a_time = threading.Lock()
        self._stopped = False
        # Its own words are about jobs that it has put off, which is what it is for here.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(1)},
            job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 2},
        )

    def start(self) -> None:
        """Begin, with a first call at once."""
        self._scheduler.add_job(self._run, _Idle(), id=_JOB, next_run_time=datetime.now(UTC))
        self._scheduler.start()

    def wake(self) -> None:
        """Call now: something has changed, or the clock was moved."""
        self._call_at(datetime.now(UTC))

    def stop(self) -> None:
        """End after the call that runs."""
        with self._one_at_a_time:
            self._stopped = True
        # Not with wait=True: that holds a lock for which the end of a call waits.
        self._scheduler.shutdown(wait=False)

    def _run(self) -> None:
        with self._one_at_a_time:
            if self._stopped:
                return
            try:
                due = self._step()
                self.beat = time.monotonic()
            except BaseException as error:  # noqa: BLE001  it would end in a log of APScheduler's
                self._failed(error)
                return
        latest = datetime.now(UTC) + timedelta(seconds=IDLE_S)
        self._call_at(latest if due is None else min(due, latest))

    def _call_at(self, moment: datetime) -> None:
        try:
            self._scheduler.modify_job(_JOB, next_run_time=moment)
        except JobLookupError:  # it is being stopped
            return


class _Idle(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """When nothing else is said."""

    def get_next_fire_time(self, previous_fire_time: Any, now: datetime) -> datetime:
        return now + timedelta(seconds=IDLE_S)
