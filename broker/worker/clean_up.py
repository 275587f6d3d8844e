"""What happens in a run that was cancelled: its handlers run, and it is given time, but not for ever."""

import logging
import threading
import time
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeVar

from jobs.error_groups import telling
from jobs.errors import HoldJob, JobCancelled
from jobs.failures import describe, worded_without_values
from jobs.hiding import values_of

if TYPE_CHECKING:
    from broker.proxy import JobProxy

logger = logging.getLogger(__name__)

E = TypeVar("E", bound=BaseException)
#: So long a cancelled run may clean up before it is interrupted again, in seconds.
CLEAN_UP_S = 10.0
LOOK_EVERY_S = 0.1


def ended_by_cancellation(run: "JobProxy", error: BaseException) -> JobCancelled | None:
    """The cancellation that ended a run, whatever its actor made of it; None: it ended by something else."""
    if isinstance(told := telling(error), JobCancelled):
        return worded(run, told)
    if run.interrupted is not JobCancelled or not isinstance(error, Exception) or isinstance(error, HoldJob):
        return None
    return worded(run, JobCancelled())


def worded(run: "JobProxy", error: E) -> E:
    """With the operator's reason, when it is a cancellation that says nothing itself."""
    if isinstance(error, JobCancelled) and not error.args:
        error.args = (run.cancel_reason or "cancelled",)
        worded_without_values(error)
    return error


def clean_up(run: "JobProxy") -> None:
    """Run the handlers of a plain actor, the latest first."""
    for handler in _taken(run):
        try:
            handler()
        except Exception as error:  # noqa: BLE001  the other handlers have their turn
            _complain(run, error)


async def clean_up_on_loop(run: "JobProxy") -> None:
    """The same for an actor that is a coroutine function; handlers may be such too."""
    for handler in _taken(run):
        try:
            if iscoroutinefunction(handler):
                await handler()
            else:
                handler()
        except Exception as error:  # noqa: BLE001
            _complain(run, error)


def _taken(run: "JobProxy") -> list[Callable[[], Any]]:
    handlers, run.on_cancel = run.on_cancel, None
    return list(reversed(handlers or ()))


def _complain(run: "JobProxy", error: Exception) -> None:
    failure = describe(error, hide=values_of(run))
    logger.error("%s was cancelled, and a clean-up failed: %s: %s", run, failure.type, failure.message)


class Patience:
    """Calls `again` for runs that have not ended CLEAN_UP_S after they were cancelled. Its thread lives while
    there is such a run."""

    def __init__(self, again: Callable[["JobProxy"], None]) -> None:
        self._again = again
        self._lock = threading.Lock()
        self._runs: dict[int, JobProxy] = {}
        self._thread: threading.Thread | None = None

    def watch(self, run: "JobProxy") -> None:
        with self._lock:
            self._runs[id(run)] = run
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="callboard-clean-up", daemon=True)
                self._thread.start()

    def _look(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(LOOK_EVERY_S)
            with self._lock:
                self._runs = {key: run for key, run in self._runs.items() if run.thread}
                if not self._runs:
                    self._thread = None
                    return
                late = [run for run in self._runs.values() if time.monotonic() >= run.patience_until]
            for run in late:
                self._again(run)
