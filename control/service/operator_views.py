"""What the service answers to operators, in camelCase like all its answers."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from control.service.views import View
from jobs.states import JobState


class JobAnswer(View):
    """What became of an action on one job."""

    id: str
    done: bool
    outcome: Literal["done", "signalled", "late", "refused", "unknown"]
    message: str = Field(description="what happened, or why not, in a sentence")


class WhyView(View):
    """Why a job is where it is."""

    id: str
    queue: str
    state: JobState
    tenant_id: str | None
    reasons: list[str] = Field(description="sentences; what holds a waiting job back comes first")
    before_in_lane: int = Field(description="jobs of its tenant and priority that go first")
    waiting_in_queue: int


class Removal(View):
    """What one call removed."""

    queue: str
    removed: int
    more: bool = Field(description="the limit was reached; the same call again goes on")


class LaneView(View):
    """One tenant's jobs in one queue."""

    queue: str
    tenant_id: str | None = Field(description="null: the jobs that have no tenant")
    waiting: int
    resting: int = Field(description="those of `waiting` that a limit or a pause holds back")
    active: int
    delayed: int
    completed: int = Field(description="kept now")
    failed: int = Field(description="kept now")
    cancelled: int = Field(description="kept now")
    weight: float
    paused: bool


class RuleView(View):
    """One rule as it holds now."""

    name: str
    value: bool | int | float | str | None = Field(description="null: no limit")
    source: Literal["settings", "adjusted"]
    by: str | None = Field(description="who adjusted it")
    at: datetime | None = Field(description="when it was adjusted")


class RulesView(View):
    """The rules of a queue, or of one tenant in it."""

    queue: str
    tenant_id: str | None = Field(None, description="null: the rules of the queue itself")
    share: str | None = Field(None, description="queues of one share count cap and rate together")
    rules: list[RuleView]


class Paused(View):
    """The queues that an action has paused or resumed."""

    queues: list[str]
    tenant_id: str | None = None
    paused: bool


class Retried(View):
    """What one call looked at, found and started again."""

    looked: int = Field(description="dead letters looked at")
    matched: int = Field(description="those that fit the filter")
    retried: int
    next: str | None = Field(description="give it as `after` to go on; null: that was all")
