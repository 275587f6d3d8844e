"""An attempt that takes too long is ended, by the limit of its call, its actor or its queue."""

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

import dramatiq
from dramatiq.broker import MessageProxy
from dramatiq.middleware import TimeLimitExceeded

from jobs.rules import RulesOf
from middleware.delivery import Delivery, delivery

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.25


class TimeLimits(dramatiq.Middleware):
    """Ends an attempt that takes longer than its `time_limit` (ms) with TimeLimitExceeded.

    Dramatiq's own raises in the thread, whatever that has come to meanwhile: it may be the next job, or its
    own loop, which it would end. Here the broker raises, in this job's actor or not at all. A call into the
    system is interrupted only when it returns.
    """

    actor_options = {"time_limit"}  # noqa: RUF012  as Dramatiq asks for it

    def __init__(self, rules_of: RulesOf) -> None:
        self._rules_of = rules_of
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
        self._watch = Watch(self._ends, self._stopped)
        self._watch.start()

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        self._stopped.set()

    def before_process_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        limit = (
            message.options.get("time_limit") or broker.get_actor(message.actor_name).options["time_limit"]
        )
        self._ends[threading.get_ident()] = (time.monotonic() + limit / 1000, delivery(message))

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
    """Looks a few times a second whose time is over. `ends` has the runs by their thread."""

    def __init__(self, ends: dict[int, tuple[float, Delivery]], stopped: threading.Event) -> None:
        super().__init__(name="callboard-time-limits", daemon=True)
        self.beat = time.monotonic()
        self._ends = ends
        self._stopped = stopped

    def run(self) -> None:
        told: dict[int, Delivery] = {}  # the last one of each thread
        while not self._stopped.wait(LOOK_EVERY_S):
            self.beat = now = time.monotonic()
            for thread, (end, job) in self._ends.copy().items():
                if now >= end and told.get(thread) is not job:
                    told[thread] = job
                    logger.warning("%s takes longer than its time limit and is ended", job)
                    # A run that has ended meanwhile is not hurt: there is nothing left to raise in.
                    job.interrupt(TimeLimitExceeded)
