"""From a schedule of the book to what a person may see of it."""

from datetime import datetime
from typing import TYPE_CHECKING

from pydantic.alias_generators import to_camel

from control.service.schedule_hiding import shown_arguments
from control.service.schedule_requests import TIMINGS
from control.service.schedule_views import ComingView, ScheduleView, StateName, TickView
from jobs.schedules import Schedule, to_document
from jobs.times.durations import text_of_seconds
from jobs.times.preview import preview
from jobs.times.words import in_words

if TYPE_CHECKING:
    from actors.composition import App
    from database.schedule_history import TickRow
    from scheduling.book import Entry

#: Of the book, in the words of a person.
STATES: dict[str, StateName] = {
    "active": "on",
    "paused": "paused",
    "disabled": "off",
    "flawed": "flawed",
    "gone": "gone",
    "ended": "ended",
}
_PLACES = (*TIMINGS, "timezone", "exclude", "jitter", "start", "end")
_OWN = ("name", "actor", "source", "args", "catch_up", "catch_up_window", "catch_up_max", "overlap")
_LAST = ("enabled", "description")
#: What it fires no ticks in.
_SILENT = ("paused", "off", "gone", "ended")


def schedule_view(
    app: "App", entry: "Entry", last: TickView | None, now: datetime, count: int
) -> ScheduleView:
    """A schedule as it holds at `now`, with the next `count` ticks."""
    row, schedule, state = entry.row, entry.schedule, STATES[entry.state.value]
    document = {} if schedule is None else to_document(schedule)
    actor = None if schedule is None else app.broker.actors.get(schedule.actor)
    known = {*_PLACES, *_OWN, *_LAST}
    return ScheduleView(
        name=entry.name,
        actor="" if schedule is None else schedule.actor,
        queue=actor.queue_name if actor is not None else None,
        source=entry.source.value,
        state=state,
        reason=_reason(entry, state),
        words="" if schedule is None else in_words(schedule.plan),
        **{name: document.get(name) for name in _PLACES if name != "timezone"},
        timezone="" if schedule is None else schedule.plan.zone,
        args={} if schedule is None else shown_arguments(app, entry),
        options={to_camel(name): value for name, value in document.items() if name not in known},
        catch_up=schedule.catch_up.value if schedule else "",
        catch_up_window=text_of_seconds(schedule.catch_up_window_s) if schedule else "",
        catch_up_max=schedule.catch_up_max if schedule else 0,
        overlap=schedule.overlap.value if schedule else "",
        enabled=row.enabled,
        description="" if schedule is None else schedule.description,
        version=row.version,
        next=[] if schedule is None or state in _SILENT else coming(schedule, now, count),
        last_tick=last,
        paused_at=row.paused_at,
        paused_by=row.paused_by,
        flawed_at=row.flawed_at,
        created_at=row.created_at,
        created_by=row.created_by,
        updated_at=row.updated_at,
        updated_by=row.updated_by,
    )


def coming(schedule: Schedule, after: datetime, count: int) -> list[ComingView]:
    """The ticks after a moment, with what a change of the clock does to them."""
    return [
        ComingView(tick=one.tick, local=one.local, due=one.due, note=one.note or None)
        for one in preview(schedule.plan, schedule.name, after, count)
    ]


def tick_view(row: "TickRow", outcomes: dict[str, str]) -> TickView:
    """A row of the history with the state of its job."""
    return TickView(
        tick=row.tick,
        kind=row.kind,
        outcome=row.outcome,
        count=row.count,
        fired_at=row.fired_at,
        late_ms=row.late_ms,
        job_id=row.job_id,
        job_outcome=outcomes.get(row.job_id) if row.job_id else None,
        by=row.by or None,
        note=row.note or None,
    )


def _reason(entry: "Entry", state: StateName) -> str | None:
    if entry.flaw:
        return f"{entry.flaw} ({entry.notice})" if entry.notice else entry.flaw
    if state == "paused" and entry.row.paused_at is not None:
        by = f" by {entry.row.paused_by}" if entry.row.paused_by else ""
        return f"since {entry.row.paused_at:%Y-%m-%d %H:%M:%S} UTC{by}"
    return entry.notice
