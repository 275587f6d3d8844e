"""An attempt that takes too long is ended, by the limit of its call, its actor or its queue.

A call into the system is interrupted only when it returns. A run that has not ended `stuck_s` after its limit
is stuck: its process hands over the rest and ends, and the delivery counts as lost.
"""

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, Protocol

import dramatiq
from dramatiq.broker import MessageProxy
from dramatiq.middleware import TimeLimitExceeded

from jobs.rules import RulesOf
from middleware.deadlines import DeadlineExceeded
from middleware.delivery import Delivery, delivery

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.25


class Overruns(Protocol):
    """What the process does about runs that do not end; the broker's, whose runs are proxies of its own."""

    def watch(self, run: Any, until: float) -> None:
        """This run has the soonest end of all, with what it is given beyond (monotonic seconds); None:
        nothing runs. Told a few times a second: who watches from outside goes by the last word."""

    def stuck(self, run: Any) -> None:
        """This run cannot be ended; told once. Does not wait."""


class NoOverruns:
    """For a stack without a worker process around it."""

    def watch(self, run: Any, until: float) -> None:
        return

    def stuck(self, run: Any) -> None:
        return


class TimeLimits(dramatiq.Middleware):
    """Ends an attempt that takes longer than its `time_limit` (ms) with TimeLimitExceeded, and one whose job
    has come to its deadline with DeadlineExceeded.

    Dramatiq's own raises in the thread, whatever that has come to meanwhile: it may be the next job, or its
    own loop, which it would end. Here the broker raises, in this job's actor or not at all.
    """

    actor_options = {"time_limit"}  # noqa: RUF012  as Dramatiq asks for it

    def __init__(self, rules_of: RulesOf, overruns: Overruns | None = None, stuck_s: float = 60.0) -> None:
        self._rules_of = rules_of
        self._overruns = overruns or NoOverruns()
        self._stuck_s = stuck_s
        self._ends: dict[int, tuple[float, Delivery]] = {}  # by thread
        self._stopped = threading.Event()
        self._watch: Watch | None = None

    @property
    def services(self) -> Mapping[str, threading.Thread]:
        """The thread that must live while the process does."""
        watch = self._watch
        return {} if watch is None or self._stopped.is_set() else {"time-limits": watch}

    def after_declare_actor(self, broker: dramatiq.Broker, actor: "dramatiq.Actor[..., Any]") -> None:
        actor.options.setdefault("time_limit", self._rules_of(actor.queue_name).timeout_ms)

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        self._stopped = threading.Event()
        self._watch = Watch(self._ends, self._stopped, self._overruns, self._stuck_s, self._watch)
        self._watch.start()

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        self._stopped.set()

    def before_process_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        limit = (
            message.options.get("time_limit") or broker.get_actor(message.actor_name).options["time_limit"]
        )
        run, end = delivery(message), time.monotonic() + limit / 1000
        if run.deadline_at is not None:
            end = min(end, run.deadline_at)
        self._ends[threading.get_ident()] = (end, run)

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        self._ends.pop(threading.get_ident(), None)

    def after_skip_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        self.after_process_message(broker, message)


class Watch(threading.Thread):
    """Looks a few times a second whose time is over. `ends` has the runs by their thread.

    It ends when it is stopped and nothing runs any more: a program with a Worker of its own goes on after a
    stop, and so do jobs that have not ended. The watch of the next Worker takes over from the one `before`.
    """

    def __init__(
        self,
        ends: dict[int, tuple[float, Delivery]],
        stopped: threading.Event,
        overruns: Overruns,
        stuck_s: float,
        before: "Watch | None" = None,
    ) -> None:
        super().__init__(name="callboard-time-limits", daemon=True)
        self.beat = time.monotonic()
        self._ends = ends
        self._stopped = stopped
        self._overruns = overruns
        self._stuck_s = stuck_s
        self._told: dict[int, Delivery] = {}  # the last one of each thread
        self._given_up: dict[int, Delivery] = {}
        self._relieved = threading.Event()
        if before is not None:
            before.relieve()
            self._told, self._given_up = before._told, before._given_up

    def relieve(self) -> None:
        """Another watch looks from now on."""
        self._relieved.set()
        if self.is_alive():
            self.join()

    def run(self) -> None:
        while self._ends or not self._stopped.is_set():
            if self._relieved.wait(LOOK_EVERY_S):
                return
            self.beat = now = time.monotonic()
            self._look(now)

    def _look(self, now: float) -> None:
        soonest: tuple[float, Delivery | None] = (0.0, None)
        for thread, (end, run) in self._ends.copy().items():
            if now >= end and self._told.get(thread) is not run:
                self._told[thread] = run
                logger.warning("%s takes longer than its time limit and is ended", run)
                # A run that has ended meanwhile is not hurt: there is nothing left to raise in.
                run.interrupt(_kind(run, now))
            if now >= end + self._stuck_s and self._given_up.get(thread) is not run:
                self._given_up[thread] = run
                self._overruns.stuck(run)
            if soonest[1] is None or end < soonest[0]:
                soonest = end, run
        self._overruns.watch(soonest[1], soonest[0] + self._stuck_s)


def _kind(run: Delivery, now: float) -> type[BaseException]:
    return DeadlineExceeded if run.deadline_at is not None and now >= run.deadline_at else TimeLimitExceeded
