"""Counts jobs and times, and serves them to Prometheus from a port of each worker process."""

from collections.abc import Callable
from time import monotonic as _now
from typing import Any

import dramatiq
from dramatiq.broker import MessageProxy
from dramatiq.middleware import TimeLimitExceeded

from jobs.failures import type_name
from jobs.model import Outcome
from middleware.delivery import Delivery, arguments_of, delivery
from middleware.ends import outcome_of
from middleware.tallies import Tallies

_FAILURES = (Outcome.RETRY, Outcome.FAILED)
_DONE = (Outcome.COMPLETED, *_FAILURES)


class Metrics(dramatiq.Middleware):
    """`serve` opens the port of a worker process and gives what closes it."""

    def __init__(self, tallies: Tallies, serve: Callable[[], Callable[[], None]]) -> None:
        self._tallies = tallies
        self._serve = serve
        self._close: Callable[[], None] | None = None

    def after_enqueue(
        self, broker: dramatiq.Broker, message: "dramatiq.Message[Any]", delay: int | None
    ) -> None:
        tally = self._tallies.of(message.queue_name, message.actor_name)
        if getattr(message, "created", True):
            tally.sent += 1
        else:
            tally.known += 1

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        run = delivery(message)
        job, outcome, tallies = run.job, outcome_of(run), self._tallies
        done = outcome in _DONE
        tallies.of(run.queue_name, run.actor_name).ended(
            outcome,
            job.attempt,
            # What was held or cancelled tells nothing of either.
            max(0, job.started_at - job.ready_at) / 1000 if done and job.ready_at else -1.0,
            _now() - run.started if done and run.started else -1.0,
        )
        if tallies.most_tenants and job.lane:
            tallies.tenant(run.queue_name, job.lane, outcome)
        if tallies.by_error and outcome in _FAILURES:
            tallies.error(run.queue_name, _kind(run, exception or run.exception))

    def after_skip_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        self.after_process_message(broker, message)

    def after_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        self._close = self._serve()

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        if self._close is not None:
            self._close()
            self._close = None


def _kind(run: Delivery, exception: BaseException | None) -> str:
    if exception is None:
        return "failed"
    if isinstance(exception, TimeLimitExceeded | TimeoutError):
        return "timeout"
    return type_name(exception, arguments_of(run))
