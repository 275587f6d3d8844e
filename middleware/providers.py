"""What a run says about the provider that it talked to: `@actor(provider="gmail")`.

Whether a job may start is asked in `limits`, where a provider's breaker and rate are two limits more. Here
is what follows a failure: after an overload (429, or a Retry-After) the job's gate, or its tenant in the
queue, rests as long as was asked; server errors and time-outs open the breaker when they are many, and
then no attempt is spent. Whether the job may run again at all is said by `retries`, which carries it out.
"""

import math
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any

import dramatiq
from dramatiq.middleware import TimeLimitExceeded
from dramatiq.threading import Interrupt

from jobs.error_groups import leaves
from jobs.errors import CallboardError, PermanentError, RetryAfter, RunEnded, StepError
from jobs.limits import LimitBook, News, ProviderRule
from jobs.store import JobStore
from middleware.delivery import Delivery

#: The longest that a provider may ask us to wait, in milliseconds.
LONGEST_WAIT_MS = 24 * 3_600_000
#: So many exceptions behind the one that was raised are looked at.
MOST_CAUSES = 5
#: Nobody has asked the provider, or nobody knows what it said: a run that was ended, and what is ours.
_NO_ANSWER = (RunEnded, Interrupt, CallboardError)
#: Ours too, but raised by actors because of what they were told.
_ANSWERS = (PermanentError, RetryAfter, TimeLimitExceeded)


class Providers(dramatiq.Middleware):
    actor_options = {"provider"}  # noqa: RUF012  as Dramatiq asks for it

    def __init__(self, book: LimitBook, store: Callable[[], JobStore]) -> None:
        self._book = book
        self._store = store
        self._of_actors: dict[str, str] = {}

    def after_declare_actor(self, broker: dramatiq.Broker, actor: "dramatiq.Actor[..., Any]") -> None:
        if name := actor.options.get("provider"):
            self._of_actors[actor.actor_name] = str(name)

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: Any,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        job: Delivery = message
        if exception is None:
            if job.probe:
                self._tell(job, News.WORKED)
            return
        name = job.options.get("provider") or self._of_actors.get(job.actor_name)
        if name and job.verdict is None and _says_something(exception):
            self._judge(job, self._book.provider(name), exception)

    def _judge(self, job: Delivery, provider: ProviderRule, exception: BaseException) -> None:
        news, wait_ms = news_of(exception)
        if news is News.WORKED and not job.probe:
            return
        if news is News.OVERLOADED:
            wait_ms = min(wait_ms or provider.overload_ms, LONGEST_WAIT_MS)
        state = self._store().provider_news(
            provider.name,
            news,
            provider.breaker,
            queue=job.queue_name,
            wait_ms=wait_ms if job.probe else 0,
            probe=job.probe,
        )
        if news is News.OVERLOADED:
            job.pause = (max(wait_ms, state.open_ms), f"the provider {provider.name} asked for a pause")
        elif state.state == "open":
            job.pause = (state.open_ms, f"the provider {provider.name} is out of order")

    def _tell(self, job: Delivery, news: News) -> None:
        name = job.options.get("provider") or self._of_actors[job.actor_name]
        breaker = self._book.provider(name).breaker
        self._store().provider_news(name, news, breaker, queue=job.queue_name, probe=True)


def _says_something(exception: BaseException) -> bool:
    if isinstance(exception, StepError):
        return False
    return isinstance(exception, _ANSWERS) or not isinstance(exception, _NO_ANSWER)


def news_of(exception: BaseException) -> tuple[News, int]:
    """What a failure says about the provider, and how many ms it asked us to wait (0: it did not say).

    Anything but an overload, a server's error, a broken connection and a time-out means that it answered.
    """
    for one in _causes(exception):
        status, asked = _status(one), _retry_after_ms(one)
        if status == 429 or (asked is not None and status in (None, 503)):
            return News.OVERLOADED, asked or 0
        if status is not None:
            return (News.FAILED if 500 <= status < 600 else News.WORKED), 0
        if isinstance(one, TimeoutError | ConnectionError) or type(one).__name__ in _TELLING_NAMES:
            return News.FAILED, 0
    return News.WORKED, 0


#: Of the integrations, and of HTTP clients, which have no base in common.
_TELLING_NAMES = frozenset(
    {
        "TransientFailure",
        "ConnectError",
        "ConnectTimeout",
        "ReadTimeout",
        "WriteTimeout",
        "PoolTimeout",
        "Timeout",
    }
    | {"ReadError", "WriteError", "RemoteProtocolError", "ServerError", "IncompleteRead", "TimeLimitExceeded"}
)


def _causes(exception: BaseException) -> Iterator[BaseException]:
    """The exception and those behind it, of groups what is in them."""
    one: BaseException | None = exception
    for _ in range(MOST_CAUSES):
        if one is None:
            return
        yield from islice(leaves(one), MOST_CAUSES)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _status(exception: BaseException) -> int | None:
    """As clients say it: `status`, `status_code`, or that of `response`."""
    for holder in (exception, getattr(exception, "response", None)):
        for name in ("status_code", "status", "code"):
            value = getattr(holder, name, None)
            if isinstance(value, int) and not isinstance(value, bool) and 100 <= value < 600:
                return int(value)
    return None


def _retry_after_ms(exception: BaseException) -> int | None:
    asked: Any = getattr(exception, "retry_after", None)
    headers: Any = getattr(getattr(exception, "response", None), "headers", None)
    if not hasattr(headers, "get"):
        headers = {}
    if asked is None:
        asked = headers.get("Retry-After")
    try:
        seconds = float(asked)
    except (TypeError, ValueError):
        seconds = _seconds_until(asked, headers.get("Date"))
    return round(min(max(0.0, seconds * 1000), LONGEST_WAIT_MS)) if seconds == seconds else None


def _seconds_until(moment: Any, now: Any) -> float:
    """Until a moment as HTTP writes it, by the clock of whoever wrote it, else by ours; NaN: it is none."""
    until = _http_date(moment)
    if until is None:
        return math.nan
    return until - (_http_date(now) or time.time())


def _http_date(value: Any) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, AttributeError, OverflowError):
        return None
