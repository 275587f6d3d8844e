"""Which job runs on this thread (or in this coroutine)."""

from contextvars import ContextVar
from dataclasses import dataclass

from jobs import running as runs
from middleware.delivery import Delivery

#: Set by the broker around each run, before the first hook and after the last.
running: ContextVar[Delivery | None] = runs.running


@dataclass(frozen=True, slots=True)
class CurrentJob:
    """The running job, for code that is called by an actor. Times are ms since 1970."""

    id: str
    attempt: int
    tenant_id: str
    user_id: str
    created_at: int


def current_job() -> CurrentJob | None:
    """The job that runs here, or None outside a worker."""
    delivery = running.get()
    if delivery is None:
        return None
    job = delivery.job
    return CurrentJob(job.id, job.attempt, job.lane, delivery.options.get("user_id") or "", job.created_at)
