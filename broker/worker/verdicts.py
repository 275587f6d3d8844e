"""What is settled for a delivery that has ended, or that will not run."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import orjson
from dramatiq.middleware import Shutdown

from broker.kept_results import result_form
from broker.options import LONGEST_DELAY_MS, removes_itself
from broker.proxy import JobProxy
from jobs.backoff import Backoff
from jobs.errors import HoldJob, JobCancelled, LeaseLost, LimitReached, RunEnded
from jobs.failures import describe, is_worded_without_values
from jobs.hiding import values_of
from jobs.letters import Ended, names_of
from jobs.model import Outcome, RestScope, Verdict
from jobs.rules import QueueRules
from jobs.texts import printable

#: The wait before the next attempt when the middleware that should have decided failed itself.
FALLBACK_BACKOFF = Backoff("fixed", delay_ms=10_000)

NOTHING: Mapping[str, Any] = MappingProxyType({})
#: Of an encrypted job, in place of what its actor says.
UNTOLD = "its actor asked for a pause; the reason is not kept, because the job is encrypted"
INTERRUPTED = b'{"error":{"type":"Interrupted","message":"its worker was stopped while it ran"}}'


def verdict_of(proxy: JobProxy, rules: QueueRules, declared: Mapping[str, Any] = NOTHING) -> Verdict:
    """The verdict of the middleware; without one, completed or dead-lettered by what happened. `declared`
    are the options of the actor.

    Raises TypeError when a middleware made one that no store can take.
    """
    job = proxy.job
    if proxy.verdict is None and not proxy.failed and proxy.exception is None:
        kept, result_ms = (None, 0) if proxy.result is None else result_form(proxy, rules, declared)
        return Verdict(
            job.id,
            job.token,
            Outcome.COMPLETED,
            record=kept,
            result_ms=result_ms,
            detail=proxy.detail,
            progress=proxy.progress,
            # The queue's rule alone: one job must not sweep away the results of others.
            keep=rules.keep_completed,
            remove=removes_itself(proxy.options.get("remove_on_complete")),
        )
    if cut_short(proxy):
        return interrupted(proxy)._replace(detail=proxy.detail, progress=proxy.progress)
    if proxy.verdict is not None:
        verdict = _checked(proxy.verdict._replace(detail=proxy.detail, progress=proxy.progress))
        if verdict.reason and (proxy.pause is None or verdict.reason != proxy.pause[1]):
            verdict = verdict._replace(reason=_reason(proxy, verdict.reason))  # a middleware's own
        return verdict
    if isinstance(proxy.exception, HoldJob | LimitReached):
        return held(proxy, proxy.exception)
    if isinstance(proxy.exception, JobCancelled):
        return cancelled(proxy)
    if isinstance(proxy.exception, LeaseLost):
        return interrupted(proxy)  # refused, where it was lost indeed
    cause = proxy.exception or RuntimeError("failed without saying why")
    # A middleware that broke must not cost the job: it is tried again rather than dead-lettered, unless it
    # was decided all the same that it has failed.
    return failed(proxy, rules, cause, again=proxy.hook_failed and not proxy.failed)


def failed(proxy: JobProxy, rules: QueueRules, cause: BaseException, *, again: bool) -> Verdict:
    """A failure; `again`: it is tried again while it has attempts."""
    job = proxy.job
    failure = describe(cause, hide=values_of(proxy))
    again = again and job.attempt < job.max_attempts
    return Verdict(
        job.id,
        job.token,
        Outcome.RETRY if again else Outcome.FAILED,
        delay_ms=FALLBACK_BACKOFF.before(job.attempt + 1) if again else 0,
        record=failure.to_record(),
        detail=proxy.detail,
        progress=proxy.progress,
        dead_letter=rules.dead_letter_of(_ended(proxy, cause)),
    )


def held(proxy: JobProxy, wish: HoldJob | LimitReached) -> Verdict:
    """It may not run now. Nothing of this delivery is counted or kept but its progress."""
    return Verdict(
        proxy.job.id,
        proxy.job.token,
        Outcome.HELD,
        delay_ms=round(min(max(0.0, wish.seconds * 1000), LONGEST_DELAY_MS)),
        progress=proxy.progress,
        rests=RestScope(wish.rests),
        reason=wish.reason if is_worded_without_values(wish) else _reason(proxy, wish.reason),
        unspent=proxy.unstarted,
    )


def _reason(proxy: JobProxy, words: str) -> str:
    """Why it is held, in clear: others that rest with it are told so, for longer than it lives itself."""
    return UNTOLD if proxy.secret else values_of(proxy).hide(words)


def cancelled(proxy: JobProxy) -> Verdict:
    return Verdict(
        proxy.job.id,
        proxy.job.token,
        Outcome.CANCELLED,
        record=None if proxy.cancelled else _given_up(proxy),  # the store has the reason
        detail=proxy.detail,
        progress=proxy.progress,
    )


def _given_up(proxy: JobProxy) -> bytes:
    """The record of a job that nobody but its own actor cancelled."""
    failure = describe(proxy.exception or JobCancelled("cancelled"), values_of(proxy))
    return orjson.dumps({"error": {"type": "Cancelled", "message": failure.message or "cancelled"}})


def cut_short(proxy: JobProxy) -> bool:
    """Whether a stop ended it: by the exception itself, or by what the actor made of that."""
    cause = proxy.exception
    if cause is None or isinstance(cause, HoldJob | RunEnded):
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


def _ended(proxy: JobProxy, cause: BaseException) -> Ended:
    job = proxy.job
    return Ended(job.queue, job.actor, job.lane, names_of(cause), "permanent", job.attempt)


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
    "result_ms": (int,),
    "follow": (tuple,),
    "unspent": (bool,),
}
