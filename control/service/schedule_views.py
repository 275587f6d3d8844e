"""What the service answers about schedules. Names are camelCase in JSON, times ISO 8601 in UTC."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from control.service.views import View

#: `gone`: code or settings declare it no more.
StateName = Literal["on", "paused", "off", "flawed", "gone", "ended"]


class ComingView(View):
    """One tick that is to come."""

    tick: datetime = Field(description="UTC")
    local: datetime = Field(description="by the schedule's zone, with its offset")
    due: datetime = Field(description="the tick, and the jitter of this schedule")
    note: str | None = Field(None, description="where the clock is changed: what that does to this tick")


class PreviewView(View):
    """What a timing means."""

    words: str
    timezone: str
    next: list[ComingView]


class TickView(View):
    """What became of one tick."""

    tick: datetime
    kind: str = Field(description="`tick`, `run` (by hand) or `missed`")
    outcome: str = Field(
        description="`enqueued`, `skipped_overlap`, `skipped_missed`, `refused`, `waits` or `taken_back`"
    )
    count: int = Field(description="of missed ones: so many up to this tick")
    fired_at: datetime
    late_ms: int | None = Field(description="fired so long after it was due")
    job_id: str | None
    job_outcome: str | None = Field(
        None, description="state of its job, from the job store or the audit; null: neither knows it"
    )
    by: str | None = Field(description="who ran it by hand")
    note: str | None


class TicksView(View):
    """A page of ticks, the newest first."""

    name: str
    ticks: list[TickView]
    next: str | None = Field(description="give it as `after` to go on; null: that was all")


class ScheduleView(View):
    """A schedule as it holds now."""

    name: str
    actor: str
    queue: str | None = Field(description="null: this installation has no such actor")
    source: Literal["code", "settings", "runtime"] = Field(description="where it is declared")
    state: StateName
    reason: str | None = Field(
        description="why it does not fire, since when it is paused and by whom, or that the scheduler has it "
        "another way"
    )
    words: str = Field(description="when, in plain English")
    cron: str | None = None
    every: str | None = None
    at: datetime | None = None
    timezone: str
    exclude: dict[str, Any] | None = None
    jitter: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    args: dict[str, Any] = Field(description="values of private parameters are left out")
    options: dict[str, Any] = Field(description="of its jobs: tenantId, priority, timeout …")
    catch_up: str
    catch_up_window: str
    catch_up_max: int
    overlap: str
    enabled: bool
    description: str
    version: int
    next: list[ComingView] = Field(description="the coming ticks; none while it does not fire")
    last_tick: TickView | None
    paused_at: datetime | None
    paused_by: str | None
    flawed_at: datetime | None
    created_at: datetime | None
    created_by: str | None
    updated_at: datetime | None
    updated_by: str | None


class SchedulesView(View):
    """A page of schedules, by name."""

    schedules: list[ScheduleView]
    next: str | None = Field(description="give it as `after` to go on; null: that was all")


class NextView(View):
    """The ticks to come."""

    name: str
    words: str
    timezone: str
    next: list[ComingView]


class RunView(View):
    """A job outside the ticks."""

    name: str
    job_id: str | None = Field(description="of its job; with `skipped_overlap` of the one that keeps it out")
    outcome: str = Field(description="`enqueued` or `skipped_overlap`")
    tick: datetime = Field(description="the moment that stands for the tick in its arguments")


class Gone(View):
    """A schedule that is no more. Its jobs and its history stay as they are."""

    name: str
    deleted: bool
