"""Decides whether a failed job is tried again, and when. The move itself is one atomic settlement.

Stock Retries enqueues a copy in a hook whose errors vanish, and the original is acknowledged all the
same: a job can be lost. Here the decision is a verdict that the broker settles.
"""

import inspect
from collections.abc import Mapping
from typing import Any, get_args

import dramatiq
from dramatiq.broker import MessageProxy
from dramatiq.middleware import Shutdown

from jobs.backoff import Backoff, BackoffType
from jobs.error_lists import ErrorLists
from jobs.errors import HoldJob, InvalidPayload, JobExpired, PermanentError, RetryAfter, RunEnded
from jobs.failures import describe
from jobs.model import Outcome, RestScope, Verdict
from jobs.rules import RulesOf
from middleware.codes import DEADLINE, EXHAUSTED, PERMANENT, TOO_LATE, code_of, failed_as
from middleware.deadlines import DeadlineExceeded, moment_of, store_now
from middleware.delivery import Delivery, arguments_of, delivery

#: The longest that another side may ask us to wait, in milliseconds.
LONGEST_WAIT_MS = 24 * 3_600_000
#: Three years: a due time must have its thirteen digits.
LONGEST_BACKOFF_MS = 10**11
#: How a run may end that is no failure: the broker settles it as held, cancelled or cut short by a stop.
NO_FAILURE = (HoldJob, RunEnded, Shutdown)
#: The option in which the sender of a job says how late it was to start, in milliseconds.
DELAYED = "retry_for_after"
#: Said by whoever raises it: nobody is asked whether another attempt might help.
FINAL = (PermanentError, InvalidPayload, JobExpired, DeadlineExceeded)
AGAIN = (RetryAfter, dramatiq.errors.Retry)


class Retries(dramatiq.Middleware):
    """`permanent` are exception types that are not retried, `retryable` such that are, beside our own; where
    neither knows a failure the `lists` do, and what nobody knows is tried again."""

    actor_options = {"retry_when", "throws", DELAYED}  # noqa: RUF012  as Dramatiq asks for it

    def __init__(
        self,
        rules_of: RulesOf,
        permanent: tuple[type[BaseException], ...] = (),
        retryable: tuple[type[BaseException], ...] = (),
        lists: ErrorLists | None = None,
    ) -> None:
        self._rules_of = rules_of
        self._permanent = permanent
        self._retryable = retryable
        self._lists = lists or ErrorLists()

    def after_declare_actor(self, broker: dramatiq.Broker, actor: "dramatiq.Actor[..., Any]") -> None:
        if actor.options.get("backoff") is not None:
            parse_backoff(actor.options["backoff"], self._rules_of(actor.queue_name).backoff)
        if (retry_when := actor.options.get("retry_when")) is not None:
            _check_retry_when(actor.actor_name, retry_when)

    def before_enqueue(
        self,
        broker: dramatiq.Broker,
        message: "dramatiq.Message[Any]",
        delay: int | None,
    ) -> None:
        if message.options.get("backoff") is not None:
            parse_backoff(message.options["backoff"], self._rules_of(message.queue_name).backoff)
        if delay and self._retry_for(
            message.queue_name, message.options, broker.get_actor(message.actor_name).options
        ):
            # Counted from when it may start first; only the sender knows that of a delay.
            message.options[DELAYED] = delay
        elif DELAYED in message.options:
            del message.options[DELAYED]  # the message was sent before

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        if exception is None:
            if result is not None and _field(result, "success") is False:
                said = _field(result, "error")
                error = PermanentError(str(said or "the actor returned success: false"))
                message.stuff_exception(error)
                failed_as(delivery(message), message, PERMANENT)
            return
        run = delivery(message)
        if isinstance(exception, NO_FAILURE) or run.verdict is not None:
            return  # or a middleware nearer to the actor has decided
        declared = broker.get_actor(run.actor_name).options
        if not self._may_help(exception, run, declared):
            failed_as(run, message, _code_of_final(exception))
        elif run.job.attempt >= run.job.max_attempts and run.pause is None:
            failed_as(run, message, EXHAUSTED)
        else:
            wait_ms = self._wait(run, exception, declared) if run.pause is None else run.pause[0]
            if late := self._too_late(run, wait_ms, declared):
                failed_as(run, message, late)
            elif run.pause is not None:
                _rest(run, *run.pause)
            else:
                self._try_again(run, exception, wait_ms)

    def _may_help(self, exception: BaseException, run: Delivery, declared: dict[str, Any]) -> bool:
        if isinstance(exception, FINAL):
            return False
        if isinstance(exception, AGAIN):
            return True
        if (retry_when := declared.get("retry_when")) is not None:
            answer = retry_when(exception, run.job.attempt)
            if answer is not None:
                return bool(answer)
        throws = run.options.get("throws") or declared.get("throws")
        if isinstance(exception, self._permanent) or (throws and isinstance(exception, throws)):
            return False
        # What the other side says with a wait is no refusal.
        if isinstance(exception, self._retryable) or _asked_seconds(exception) is not None:
            return True
        return self._lists.helps(exception) is not False

    def _wait(self, run: Delivery, exception: BaseException, declared: dict[str, Any]) -> int:
        asked = _asked_seconds(exception)
        if asked is not None:
            return round(min(max(0.0, asked * 1000), LONGEST_WAIT_MS))
        backoff = self._rules_of(run.queue_name).backoff
        own = run.options.get("backoff") or declared.get("backoff")
        if own is not None:
            backoff = parse_backoff(own, backoff)
        return backoff.before(run.job.attempt + 1)

    def _too_late(self, run: Delivery, wait_ms: int, declared: dict[str, Any]) -> str:
        """The limit that the next attempt would start after; empty when there is none."""
        starts = store_now(run) + wait_ms
        deadline = moment_of("deadline", run, declared)
        if deadline is not None and starts >= deadline:
            return DEADLINE
        time_for = self._retry_for(run.queue_name, run.options, declared)
        if not time_for:
            return ""
        first = max(run.job.created_at + (run.options.get(DELAYED) or 0), run.options.get("run_at") or 0)
        return TOO_LATE if starts > first + time_for else ""

    def _retry_for(self, queue: str, given: dict[str, Any], declared: dict[str, Any]) -> int | None:
        """In milliseconds, by the call, the actor or the queue; a 0 takes away what stands below it."""
        for options in (given, declared):
            if options.get("retry_for") is not None:
                return int(options["retry_for"])
        return self._rules_of(queue).retry_for_ms

    def _try_again(self, run: Delivery, exception: BaseException, wait_ms: int) -> None:
        verdict = Verdict(run.job.id, run.job.token, Outcome.RETRY, delay_ms=wait_ms)
        run.verdict = verdict
        failure = describe(exception, arguments_of(run))
        run.verdict = verdict._replace(record=failure.to_record(code_of(run, exception)))


def _field(result: Any, name: str) -> Any:
    """What a result says under a name: a mapping, or an object such as a model or a data class."""
    return result.get(name) if isinstance(result, Mapping) else getattr(result, name, None)


def _rest(run: Delivery, wait_ms: int, reason: str) -> None:
    """Until its provider is there again: no attempt is spent, and what needs the same rests with it."""
    run.verdict = Verdict(
        run.job.id, run.job.token, Outcome.HELD, delay_ms=wait_ms, rests=RestScope.LANE, reason=reason
    )


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
        if value > LONGEST_BACKOFF_MS:
            raise InvalidPayload(f"backoff.{name} must be at most {LONGEST_BACKOFF_MS} milliseconds.")
    return Backoff(kind, delay, longest, float(jitter))


def _check_retry_when(actor: str, retry_when: Any) -> None:
    try:
        inspect.signature(retry_when).bind(None, 1)
    except (TypeError, ValueError):
        raise InvalidPayload(
            f"retry_when of {actor} must be a function of the exception and the attempt's number."
        ) from None


def _code_of_final(exception: BaseException) -> str:
    if isinstance(exception, JobExpired):
        return exception.code
    return DEADLINE if isinstance(exception, DeadlineExceeded) else PERMANENT


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
