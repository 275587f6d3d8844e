"""A run that cannot be ended does not keep its process for ever.

It is in a call into the system that does not return, say. When the time-limits middleware calls it stuck,
nothing more is fetched and what had not started goes back at once; what else runs may finish as at a stop,
and is handed back then. The process ends without a word about the stuck one, so its lease helper reports it
as lost: the rules for jobs that kill their process apply. Whoever supervises the process starts it again.

A run that holds the interpreter lock lets none of this happen. For that the ledger has the soonest limit, and
the helper kills the process when that has passed and no beat came (`renewer`).
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from dramatiq.middleware import Shutdown

from broker.proxy import JobProxy
from broker.worker.holdings import Holdings
from broker.worker.leases import LeaseKeeper
from broker.worker.ledger import Ledger
from broker.worker.side import LAST_SEND_S, Side

logger = logging.getLogger(__name__)

#: The exit code of a process that a stuck job ended (EX_TEMPFAIL).
EXIT_STUCK = 75
#: What an interrupted neighbour has to clean up, in seconds.
GRACE_S = 0.5
LOOK_EVERY_S = 0.1


class Overruns:
    """Of one process; `begin` gives it what a Worker has made. `end_process` is called at the very end."""

    def __init__(self, end_process: Callable[[int], None] = os._exit) -> None:
        self._end_process = end_process
        self._stuck: dict[str, JobProxy] = {}
        self._lock = threading.Lock()
        self._parts: _Parts | None = None

    def begin(
        self,
        ledger: Ledger,
        holdings: Holdings,
        sides: Sequence[Side],
        keeper: LeaseKeeper | None,
        finish_s: float,
    ) -> None:
        """`finish_s` is what other running jobs have when one is stuck, in seconds."""
        self._stuck = {}
        self._parts = _Parts(ledger, holdings, sides, keeper, finish_s)

    def watch(self, run: JobProxy | None, until: float) -> None:
        """The soonest hard limit of all runs, for whoever watches from outside."""
        if self._parts is not None:
            self._parts.ledger.watch(run.slot, run.job.token, until) if run else self._parts.ledger.unwatch()

    def stuck(self, run: JobProxy) -> None:
        """This run cannot be ended. Begins to hand over the rest, once."""
        parts = self._parts
        if parts is None:
            return
        logger.critical(
            "%s cannot be ended: it does not come back from a call into the system. This worker process "
            "hands over its other jobs and ends; the run counts as lost.",
            run,
        )
        with self._lock:
            first = not self._stuck
            self._stuck[run.message_id] = run
        if first:
            threading.Thread(target=self._hand_over, args=(parts,), name="callboard-overrun").start()

    def _hand_over(self, parts: "_Parts") -> None:
        try:
            for side in parts.sides:
                side.exchange.stop_fetching()
            self._let_finish(parts)
            parts.holdings.interrupt_running(but=self._stuck.keys())
            if parts.keeper is not None:
                parts.keeper.wind_down()
            for side in parts.sides:
                side.stop()
            deadline = time.monotonic() + LAST_SEND_S
            for side in parts.sides:
                # No leave: that would give the stuck one back as if it had not started.
                side.exchange.ended(max(0.0, deadline - time.monotonic()))
        finally:
            self._end_process(EXIT_STUCK)

    def _let_finish(self, parts: "_Parts") -> None:
        pause = threading.Event()
        deadline = time.monotonic() + parts.finish_s
        while self._others(parts) and time.monotonic() < deadline:
            pause.wait(LOOK_EVERY_S)
        for run in self._others(parts):
            run.interrupt(Shutdown)
        deadline = time.monotonic() + GRACE_S
        while self._others(parts) and time.monotonic() < deadline:
            pause.wait(LOOK_EVERY_S)

    def _others(self, parts: "_Parts") -> list[JobProxy]:
        return [run for run in parts.holdings.jobs_running if run.message_id not in self._stuck]


class _Parts(NamedTuple):
    """What a Worker has made."""

    ledger: Ledger
    holdings: Holdings
    sides: Sequence[Side]
    keeper: LeaseKeeper | None
    finish_s: float
