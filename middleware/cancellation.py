"""What an actor can do about its own cancellation.

    for row in rows:
        check_cancelled()          # raises JobCancelled once somebody wants the job cancelled
        ...

A job that runs is interrupted in any case, wherever it is; these are for places where it should end, and for
what must be cleared away.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from jobs.errors import JobCancelled
from jobs.failures import worded_without_values
from middleware.current import running
from middleware.delivery import Delivery

Handler = TypeVar("Handler", bound=Callable[[], Any])


def cancelled() -> bool:
    """Whether somebody wants the running job cancelled; False outside a job. It asks no server."""
    job = running.get()
    return job is not None and job.cancelled


def check_cancelled() -> None:
    """Raise JobCancelled, with the operator's reason, when somebody wants the running job cancelled."""
    job = running.get()
    if job is not None and job.cancelled:
        raise cancellation(job)


def on_cancel(handler: Handler) -> Handler:
    """Have `handler()` called when this run ends by a cancellation, after the actor's own `finally`.

    Also as a decorator within the actor. The latest is called first; one that fails is logged, and the others
    are called all the same. In an `async def` actor a handler may be `async def` too. It is not called when
    the worker dies, or the job has not started: what must be cleared away in any case needs a `finally` and a
    job that looks for what was left. Outside a job it does nothing.
    """
    job = running.get()
    if job is not None:
        job.on_cancel = [*(job.on_cancel or ()), handler]
    return handler


def cancellation(job: Delivery) -> JobCancelled:
    """The exception for a job that is to be cancelled."""
    return worded_without_values(JobCancelled(job.cancel_reason or "cancelled"))
