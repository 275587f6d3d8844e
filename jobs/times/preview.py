"""The next ticks of a plan, with what a person should know of those near a change of the clocks."""

from datetime import datetime, timedelta
from typing import NamedTuple

from jobs.times.cron import Cron
from jobs.times.plan import Plan
from jobs.times.zones import change_within, reading, wall_of, zone_of

_SECOND = timedelta(seconds=1)


class Coming(NamedTuple):
    """A tick. `local` has the plan's zone; `due` is the tick with its jitter; `note` is a sentence about the
    change of the clocks that it is near to, or empty."""

    tick: datetime
    local: datetime
    note: str
    due: datetime


def preview(plan: Plan, name: str, after: datetime, count: int) -> list[Coming]:
    """The next `count` ticks after an instant, fewer when the plan ends. `name` is the schedule's, which the
    jitter depends on."""
    zone = zone_of(plan.zone)
    coming: list[Coming] = []
    tick = plan.next_after(after)
    while tick is not None and len(coming) < count:
        coming.append(Coming(tick, tick.astimezone(zone), _note(plan, tick), plan.due(name, tick)))
        tick = plan.next_after(tick)
    return coming


def _note(plan: Plan, tick: datetime) -> str:
    zone = zone_of(plan.zone)
    wall = wall_of(tick, zone)
    when = reading(wall, zone)
    if when.in_fold:
        return _twice(plan, wall)
    if isinstance(plan.timing, Cron):
        return _skipped(plan.timing, tick)
    return ""


def _twice(plan: Plan, wall: datetime) -> str:
    text = f"The clock shows {wall:%H:%M} twice on this day: "
    if isinstance(plan.timing, Cron) and plan.timing.fields.wall_clock:
        return f"{text}it runs the first time only."
    return f"{text}this is the {'second' if wall.fold else 'first'} time."


def _skipped(cron: Cron, tick: datetime) -> str:
    """What a gap between the tick before and this one left out."""
    before = cron.previous_before(tick)
    if before is None:
        return ""
    missed = cron.walls.after(wall_of(before, cron.tz))
    if missed is None or not (when := reading(missed, cron.tz)).in_gap:
        return ""
    change = change_within(when.second, when.first, cron.tz)
    gap = f"from {wall_of(change - _SECOND, cron.tz) + _SECOND:%H:%M} to {wall_of(change, cron.tz):%H:%M}"
    if cron.fields.wall_clock:
        return f"The clock goes {gap} on this day: {missed:%H:%M} is not on it, and runs now."
    return f"The clock goes {gap} on this day: nothing runs for the times between."
