"""Decides whether a failed job is tried again, and when. The move itself is one atomic settlement.

Stock Retries enqueues a copy in a hook whose errors vanish, and the original is acknowledged all the
same: a job can be lost. Here the decision is a verdict that the broker settles.
"""

from typing import Any, get_args

import dramatiq
from dramatiq.broker import MessageProxy
from dramatiq.middleware import Shutdown

from jobs.backoff import Backoff, BackoffType
from jobs.errors import HoldJob, InvalidPayload, JobCancelled, PermanentError, RetryAfter
from jobs.failures import describe
from jobs.model import Outcome, Verdict
from jobs.rules import RulesOf
from middleware.delivery import arguments_of, delivery

#: The longest that another side may ask us to wait, in milliseconds.
LONGEST_WAIT_MS = 24 * 3_600_000
#: How a run may end that is no failure: the broker settles it as held, cancelled or cut short by a stop.
NO_FAILURE = (HoldJob, JobCancelled, Shutdown)


class Retries(dramatiq.Middleware):
    """`permanent` are exception types that are never retried, beside our own."""

    def __init__(self, rules_of: RulesOf, permanent: tuple[type[BaseException], ...] = ()) -> None:
        self._rules_of = rules_of
        self._permanent: tuple[type[BaseException], ...] = (PermanentError, InvalidPayload, *permanent)

    def after_declare_actor(self, broker: dramatiq.Broker, actor: "dramatiq.Actor[..., Any]") -> None:
        if actor.options.get("backoff") is not None:
            parse_backoff(actor.options["backoff"], self._rules_of(actor.queue_name).backoff)

    def before_enqueue(
        self,
        broker: dramatiq.Broker,
        message: "dramatiq.Message[Any]",
        delay: int | None,
    ) -> None:
        if message.options.get("backoff") is not None:
            parse_backoff(message.options["backoff"], self._rules_of(message.queue_name).backoff)

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        if exception is None:
            if isinstance(result, dict) and result.get("success") is False:
                error = PermanentError(str(result.get("error") or "the actor returned success: false"))
                message.stuff_exception(error)
                message.fail()
            return
        if isinstance(exception, NO_FAILURE) or delivery(message).verdict is not None:
            return  # or a middleware nearer to the actor has decided
        running = delivery(message)
        job = running.job
        if isinstance(exception, self._permanent) or job.attempt >= job.max_attempts:
            message.fail()
            return
        running.verdict = Verdict(
            job.id,
            job.token,
            Outcome.RETRY,
            delay_ms=self._wait(broker, message, exception),
            record=describe(exception, arguments_of(running)).to_record(),
        )

    def _wait(self, broker: dramatiq.Broker, message: MessageProxy, exception: BaseException) -> int:
        asked = _asked_seconds(exception)
        if asked is not None:
            return round(min(max(0.0, asked * 1000), LONGEST_WAIT_MS))
        backoff = self._rules_of(message.queue_name).backoff
        own = message.options.get("backoff") or broker.get_actor(message.actor_name).options.get("backoff")
        if own is not None:
            backoff = parse_backoff(own, backoff)
        return backoff.before(delivery(message).job.attempt + 1)


def parse_backoff(given: Any, default: Backoff) -> Backoff:
    """A call's {"type", "delay" ms, "max" ms, "jitter" 0 to 1} over the queue's. Raises InvalidPayload."""
    if not isinstance(given, dict) or given.keys() - {"type", "delay", "max", "jitter"}:
        raise InvalidPayload("backoff takes the keys type, delay, max and jitter.")
    kind = given.get("type", default.type)
    if kind not in get_args(BackoffType):
        raise InvalidPayload(f"backoff.type must be one of {', '.join(get_args(BackoffType))}.")
    jitter = given.get("jitter", default.jitter)
    if not isinstance(jitter, int | float) or not 0 <= jitter <= 1:
        raise InvalidPayload("backoff.jitter must be a number from 0 to 1.")
    delay, longest = given.get("delay", default.delay_ms), given.get("max", default.max_ms)
    for name, value in (("delay", delay), ("max", longest)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise InvalidPayload(f"backoff.{name} must be a number of milliseconds.")
    return Backoff(kind, delay, longest, float(jitter))


def _asked_seconds(exception: BaseException) -> float | None:
    """How long the failure itself asks to wait: our RetryAfter, a client's retry_after, Dramatiq's Retry."""
    asked: Any = None
    if isinstance(exception, RetryAfter):
        asked = exception.seconds
    elif isinstance(exception, dramatiq.errors.Retry):
        asked = None if exception.delay is None else exception.delay / 1000
    else:
        asked = getattr(exception, "retry_after", None)
    # What another side sends may be anything; NaN is no wait.
    return float(asked) if isinstance(asked, int | float) and asked == asked else None
