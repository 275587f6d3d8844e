"""Figures of all schedules for the metrics: few questions, each answered by an index or a small table."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, case, func, select

from database.engine import read_session
from database.models import ScheduleRow, SchedulerProcessRow, ScheduleTick

#: Each state of a row, the first that fits.
STATES = ("gone", "paused", "off", "flawed", "on")
#: Ticks of so long ago count for the lateness.
LATENESS_OVER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ScheduleFigures:
    """`late_ms` is the most of the last minute, None without a tick in it; `heard_s` is how long ago a
    scheduler was heard of last, None when none ever was."""

    states: dict[str, int] = field(default_factory=dict)
    ticks: int = 0
    late_ms: int | None = None
    heard_s: float | None = None


def read_figures(engine: Engine, now: datetime | None = None) -> ScheduleFigures:
    """The figures now. Raises DatabaseUnavailable and DatabaseOutdated."""
    now = now or datetime.now(UTC)
    state = case(
        (ScheduleRow.gone, "gone"),
        (ScheduleRow.paused_at.is_not(None), "paused"),
        (ScheduleRow.enabled.is_(False), "off"),
        (ScheduleRow.flaw.is_not(None), "flawed"),
        else_="on",
    )
    ticks = select(func.count(), func.max(ScheduleTick.late_ms)).where(
        ScheduleTick.fired_at >= now - LATENESS_OVER, ScheduleTick.kind == "tick"
    )
    with read_session(engine) as session:
        rows = session.execute(select(state, func.count()).group_by(state))
        counted = {row[0]: row[1] for row in rows}
        fired, late_ms = session.execute(ticks).one()
        seen_at = session.execute(select(func.max(SchedulerProcessRow.seen_at))).scalar_one()
    heard_s = None if seen_at is None else max(0.0, (now - seen_at).total_seconds())
    return ScheduleFigures({name: counted.get(name, 0) for name in STATES}, fired, late_ms, heard_s)
