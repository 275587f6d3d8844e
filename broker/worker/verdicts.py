"""What is settled for a delivery that has ended, or that will not run."""

from typing import Any

import orjson
from pydantic_core import to_jsonable_python

from broker.options import LONGEST_DELAY_MS, removes_itself
from broker.proxy import JobProxy
from jobs.backoff import Backoff
from jobs.errors import HoldJob, JobCancelled
from jobs.failures import describe
from jobs.model import Outcome, RestScope, Verdict
from jobs.rules import QueueRules

MAX_RESULT_BYTES = 102_400
#: The wait before the next attempt when the middleware that should have decided failed itself.
FALLBACK_BACKOFF = Backoff("fixed", delay_ms=10_000)

CANCELLED = b'{"error":{"type":"Cancelled","message":"it was cancelled while a worker had it"}}'
INTERRUPTED = b'{"error":{"type":"Interrupted","message":"its worker was stopped while it ran"}}'


def verdict_of(proxy: JobProxy, rules: QueueRules) -> Verdict:
    """The verdict of the middleware; without one, completed or dead-lettered by what happened."""
    job = proxy.job
    if proxy.verdict is not None:
        return proxy.verdict._replace(detail=proxy.detail, progress=proxy.progress)
    if not proxy.failed and proxy.exception is None:
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
    if isinstance(proxy.exception, HoldJob):
        return held(proxy, proxy.exception)
    if isinstance(proxy.exception, JobCancelled):
        return cancelled(proxy)
    failure = describe(
        proxy.exception or RuntimeError("failed without saying why"),
        hide=(*proxy.args, *proxy.kwargs.values()),
    )
    # A middleware that broke must not cost the job: it is tried again rather than dead-lettered.
    again = proxy.hook_failed and job.attempt < job.max_attempts
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


def interrupted(proxy: JobProxy) -> Verdict:
    """Cut short by a stop."""
    return Verdict(proxy.job.id, proxy.job.token, Outcome.INTERRUPTED, record=INTERRUPTED)


def returned(proxy: JobProxy) -> Verdict:
    """Handed back unstarted."""
    return Verdict(proxy.job.id, proxy.job.token, Outcome.RETURNED)


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
