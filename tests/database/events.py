"""Events as the job store writes them, for tests."""

from typing import Any

from jobs.model import Event, Outcome
from jobs.states import JobState

START = 1_790_000_000_123  # milliseconds; any moment

_EVENT = Event(
    id="1-0",
    job_id="job-1",
    queue="email-sync",
    actor="email_sync",
    lane="acme",
    outcome=Outcome.COMPLETED,
    state=JobState.COMPLETED,
    attempt=1,
    token=1,
    owner="host:1:abc",
    created_at=START,
    ready_at=START + 10,
    started_at=START + 35,
    finished_at=START + 1_035,
)


def an_event(**changes: Any) -> Event:
    """A first attempt that succeeded, with changes."""
    return _EVENT._replace(**changes)


def a_failure(**changes: Any) -> Event:
    """An attempt with which its job failed for good."""
    return an_event(**{"outcome": Outcome.FAILED, "state": JobState.FAILED, **changes})
