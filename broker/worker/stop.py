"""The end of a Worker, in the order that loses nothing and within a limit that holds whatever hangs.

What was not started goes back at once, and what runs may finish until `stop_s`. Then it is interrupted, and
settled as soon as it has ended: a job that still runs is never startable elsewhere. Only where the process
is about to end are those handed back that cannot be interrupted, to start when it is gone for certain.
"""

import logging
import math
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence

from dramatiq.middleware import Shutdown

from broker.worker.holdings import Holdings
from broker.worker.leases import STOP_S, LeaseKeeper
from broker.worker.side import LAST_SEND_S, LEAVE_S, Side, end_all

logger = logging.getLogger(__name__)

#: What an actor has to clean up once it was interrupted, in seconds, before its job is handed back.
GRACE_S = 0.5
#: From `stop_s` to the end of the process under Dramatiq's command: the grace, the last verdicts, leaving,
#: and the lease helper, each with its own limit, and half a second. Together with the second that the
#: command may take to see its signal, and 50 s for the jobs, that is under a minute.
END_S = GRACE_S + LAST_SEND_S + LEAVE_S + STOP_S + 0.5


def by_command() -> bool:
    """Whether this is a worker process of the `dramatiq` command, which ends after a stop. A program that
    runs a Worker of its own goes on, also in a process that it started by multiprocessing."""
    command = sys.modules.get("dramatiq.cli")
    # What a process of multiprocessing runs is known to nothing but this attribute.
    target = getattr(multiprocessing.current_process(), "_target", None)
    return command is not None and target is command.worker_process


class Stop:
    """Of one Worker: what it holds, its threads, and the keeper of its lease."""

    def __init__(
        self, holdings: Holdings, sides: Sequence[Side], keeper: LeaseKeeper | None, stop_s: float
    ) -> None:
        self._holdings = holdings
        self._sides = sides
        self._keeper = keeper
        self._stop_s = stop_s
        self._worker_ended = threading.Event()
        self._ended = False
        self._ending = threading.Lock()

    def begin(self) -> None:
        """Fetch no more, and see to it that the time is kept."""
        for side in self._sides:
            side.exchange.stop_fetching()
        threading.Thread(target=self._keep_time, name="callboard-stop", daemon=True).start()

    def worker_has_ended(self) -> None:
        """Dramatiq's threads have ended, or were given up."""
        self._worker_ended.set()
        if not self._holdings.running or by_command():
            self._end()
        else:
            # The program goes on, and so do its jobs: they are this process's until they have ended.
            threading.Thread(target=self._end_when_empty, name="callboard-end", daemon=True).start()

    def _keep_time(self) -> None:
        holdings, deadline = self._holdings, time.monotonic() + self._stop_s
        if by_command() and self._keeper is not None:
            self._keeper.end_by(deadline + END_S)
        _wait_until(lambda: self._worker_ended.is_set() and not holdings.running, deadline)
        if late := holdings.jobs_running:
            names = ", ".join(map(str, late))
            logger.warning(
                "%d jobs still ran after %.0f s and are interrupted: %s", len(late), self._stop_s, names
            )
            for job in late:
                job.interrupt(Shutdown)
        if not by_command():
            return
        _wait_until(lambda: not holdings.running, deadline + GRACE_S)
        if holdings.running:
            self._end()
        else:
            _wait_until(lambda: False, deadline + END_S)  # long before that the main thread ends the process
        os._exit(0)

    def _end_when_empty(self) -> None:
        _wait_until(lambda: not self._holdings.running)
        self._end()

    def _end(self) -> None:
        """End all threads, once. The process ends when there are jobs that still run."""
        with self._ending:
            if self._ended:
                return
            self._ended = True
            stuck = self._holdings.interrupt_running(round(END_S * 1000))
            if stuck:
                logger.warning("%d of them run on and are handed back.", len(stuck))
            if self._keeper is not None:
                self._keeper.wind_down()
            end_all(self._sides)
            # While something runs, the helper sees to it that this process ends.
            if self._keeper is not None and not stuck:
                self._keeper.stop()


def _wait_until(over: Callable[[], bool], deadline: float = math.inf) -> None:
    while not over() and time.monotonic() < deadline:
        time.sleep(0.1)
