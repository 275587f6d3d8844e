"""What the service answers about dead letters and attempts. Names are camelCase in JSON."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from control.service.views import View
from jobs.states import JobState


class LetterView(View):
    """One dead letter."""

    id: str
    queue: str = Field(description="where it ran")
    name: str = Field(description="the actor")
    dead_letter: str | None = Field(description="the dead-letter queue that it was routed to")
    tenant_id: str | None
    attempts_made: int
    failed_at: datetime | None
    error_type: str | None
    error_code: str | None = Field(description="the kind: permanent, exhausted, timeout, expired, deadline …")
    error_message: str | None
    fingerprint: str


class LettersView(View):
    """One page."""

    looked: int
    letters: list[LetterView]
    next: str | None = Field(description="give it as `after` to go on; null: that was all")


class GroupView(View):
    """Dead letters of one cause; the message is that of the last one."""

    fingerprint: str
    error_type: str | None
    error_code: str | None
    error_message: str | None
    count: int
    queues: list[str]
    actors: list[str]
    tenants: int
    first_at: datetime | None
    last_at: datetime | None
    last_job_id: str


class GroupsView(View):
    """The causes, the most frequent first."""

    looked: int
    groups: list[GroupView]
    complete: bool = Field(description="false: there are more dead letters than one call looks at")


class Replayed(View):
    """What one call looked at, found, and started or discarded."""

    looked: int = Field(description="dead letters looked at")
    matched: int = Field(description="those that fit the filter")
    done: int
    refused: list[str] = Field(description="why some could not be changed as asked; at most ten reasons")
    next: str | None = Field(description="give it as `after` to go on; null: that was all")


class CanaryView(View):
    """How a replay by canary stands."""

    state: Literal["waiting", "stopped", "done"] = Field(
        description="waiting: call again with `next`; stopped: what failed is in `returned` and `otherwise`"
    )
    stage: int = Field(description="0: one job, 1: ten, 2: all the others")
    total: int = Field(description="dead letters that fitted when it began")
    started: int = Field(description="jobs that run again, in all")
    running: int = Field(description="those that the next step waits for")
    completed: int = Field(description="of those that were watched")
    cancelled: int = Field(0, description="of those that were watched: somebody cancelled them")
    removed: int = Field(0, description="of those that were watched: they are gone, however they ended")
    failed_otherwise: int = Field(description="watched ones that failed, but by another cause than before")
    returned: list[str] = Field(description="ids of jobs that failed as before")
    otherwise: list[str] = Field(description="ids of jobs that failed by another cause since the call before")
    message: str
    next: str | None = Field(description="give it as `run` of the next call; null: it has ended")


class AttemptView(View):
    """One attempt of a job."""

    attempt: int
    outcome: str
    worker: str | None = None
    ready_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    wait_ms: int | None = None
    run_ms: int | None = None
    error_type: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    fingerprint: str | None = None
    reason: str | None = Field(None, description="why it ended so, as one answered from the cache")
    stack: list[str] = Field(default_factory=list)
    trace_id: str | None = None


class HistoryView(View):
    """All attempts of a job, the first one first."""

    id: str
    state: JobState | None = Field(description="null: the job has left the store, its attempts have not")
    attempts: list[AttemptView]
    complete: bool = Field(description="false: see `note`")
    note: str | None
