"""Which job runs on this thread (or in this coroutine)."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class CurrentJob:
    """The running job, for code that is called by an actor. Times are ms since 1970."""

    id: str
    attempt: int
    tenant_id: str
    user_id: str
    created_at: int
    report: Callable[[str, dict[str, Any]], None]
    progress: dict[str, Any] | None = field(default=None)


def current_job() -> CurrentJob | None:
    """The job that runs here, or None outside a worker."""
    return running.get()


#: Set by the progress middleware around each run.
running: ContextVar[CurrentJob | None] = ContextVar("callboard_job", default=None)
