"""What is settled for a delivery that has ended, or that will not run."""

from typing import Any

import orjson
from dramatiq.middleware import Shutdown
from pydantic_core import to_jsonable_python

from broker.options import LONGEST_DELAY_MS, removes_itself
from broker.proxy import JobProxy
from jobs.backoff import Backoff
from jobs.errors import HoldJob, JobCancelled
from jobs.failures import describe
from jobs.model import Outcome, RestScope, Verdict
from jobs.rules import QueueRules
from jobs.texts import printable

MAX_RESULT_BYTES = 102_400
#: The wait before the next attempt when the middleware that should have decided failed itself.
FALLBACK_BACKOFF = Backoff("fixed", delay_ms=10_000)

CANCELLED = b'{"error":{"type":"Cancelled","message":"it was cancelled while a worker had it"}}'
INTERRUPTED = b'{"error":{"type":"Interrupted","message":"its worker was stopped while it ran"}}'


def verdict_of(proxy: JobProxy, rules: QueueRules) -> Verdict:
    """The verdict of the middleware; without one, completed or dead-lettered by what happened.

    Raises TypeError when a middleware made one that no store can take.
    """
    job = proxy.job
    if proxy.verdict is None and not proxy.failed and proxy.exception is None:
        return Verdict(
            job.id,
            job.token,
            Outcome.COMPLETED,
            record=_result_record(proxy.result),
            detail=proxy.detail,
            progress=proxy.progress,
            # The queue's rule alone: one job must not sweep away the results of others.
            keep=rules.keep_completed,
            remove=removes_itself(proxy.options.get("remove_on_complete")),
        )
    if cut_short(proxy):
        return interrupted(proxy)._replace(detail=proxy.detail, progress=proxy.progress)
    if proxy.verdict is not None:
        return _checked(proxy.verdict._replace(detail=proxy.detail, progress=proxy.progress))
    if isinstance(proxy.exception, HoldJob):
        return held(proxy, proxy.exception)
    if isinstance(proxy.exception, JobCancelled):
        return cancelled(proxy)
    cause = proxy.exception or RuntimeError("failed without saying why")
    # A middleware that broke must not cost the job: it is tried again rather than dead-lettered.
    return failed(proxy, rules, cause, again=proxy.hook_failed)


def failed(proxy: JobProxy, rules: QueueRules, cause: BaseException, *, again: bool) -> Verdict:
    """A failure; `again`: it is tried again while it has attempts."""
    job = proxy.job
    failure = describe(cause, hide=(*proxy.args, *proxy.kwargs.values()))
    again = again and job.attempt < job.max_attempts
    return Verdict(
        job.id,
        job.token,
        Outcome.RETRY if again else Outcome.FAILED,
        delay_ms=FALLBACK_BACKOFF.before(job.attempt + 1) if again else 0,
        record=failure.to_record(),
        detail=proxy.detail,
        progress=proxy.progress,
        dead_letter=rules.dead_letter,
    )


def held(proxy: JobProxy, wish: HoldJob) -> Verdict:
    """It may not run now. Nothing of this delivery is counted or kept but its progress."""
    return Verdict(
        proxy.job.id,
        proxy.job.token,
        Outcome.HELD,
        delay_ms=round(min(max(0.0, wish.seconds * 1000), LONGEST_DELAY_MS)),
        progress=proxy.progress,
        rests=RestScope(wish.rests),
        reason=wish.reason,
    )


def cancelled(proxy: JobProxy) -> Verdict:
    return Verdict(
        proxy.job.id,
        proxy.job.token,
        Outcome.CANCELLED,
        record=CANCELLED,
        detail=proxy.detail,
        progress=proxy.progress,
    )


def cut_short(proxy: JobProxy) -> bool:
    """Whether a stop ended it: by the exception itself, or by what the actor made of that."""
    cause = proxy.exception
    if cause is None or isinstance(cause, HoldJob | JobCancelled):
        return False
    return isinstance(cause, Shutdown) or proxy.interrupted is Shutdown


def interrupted(proxy: JobProxy, not_before_ms: int = 0) -> Verdict:
    """Cut short by a stop; it starts elsewhere after `not_before_ms`, or the store's two seconds."""
    return Verdict(
        proxy.job.id, proxy.job.token, Outcome.INTERRUPTED, delay_ms=not_before_ms, record=INTERRUPTED
    )


def returned(proxy: JobProxy) -> Verdict:
    """Handed back unstarted."""
    return Verdict(proxy.job.id, proxy.job.token, Outcome.RETURNED)


def _checked(verdict: Verdict) -> Verdict:
    # The store would choke on it, each time that it is sent.
    for name, kinds in _KINDS.items():
        value = getattr(verdict, name)
        if not isinstance(value, kinds):
            raise TypeError(f"a middleware made a verdict whose {name} is a {type(value).__name__}")
    return verdict._replace(reason=printable(verdict.reason)) if verdict.reason else verdict


_KINDS: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "token": (int,),
    "outcome": (Outcome,),
    "delay_ms": (int, float),
    "record": (bytes, type(None)),
    "detail": (bytes,),
    "progress": (bytes, type(None)),
    "dead_letter": (str,),
    "keep": (int, type(None)),
    "remove": (bool,),
    "rests": (RestScope,),
    "reason": (str,),
}


def _result_record(result: Any) -> bytes | None:
    if result is None:
        return None
    try:
        record = orjson.dumps({"result": result}, default=to_jsonable_python)
    except (TypeError, ValueError):
        return orjson.dumps({"result": None, "note": f"a {type(result).__name__} has no JSON form"})
    if len(record) > MAX_RESULT_BYTES:
        return orjson.dumps(
            {"result": None, "note": f"the result took {len(record):,} bytes, too many to keep"}
        )
    return record
