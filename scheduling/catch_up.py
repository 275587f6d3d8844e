"""Which ticks are fired now, and which are left out. Pure: no clock, no database.

A tick that is at most `ON_TIME_S` late is on time, whatever the policy: restarts, a new leader and short
outages lose none. Older ones were missed, and the schedule's policy says what becomes of them.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from jobs.schedules import CatchUp, Schedule

ON_TIME_S = 60
#: Of the ticks that are left out so many are counted: with thousands of schedules more takes minutes, and
#: what is due now waits for it.
COUNTED = 20
_SECOND = timedelta(seconds=1)


class Decision(NamedTuple):
    """`fire`: ticks, oldest first. `missed`: how many before them are left out (`COUNTED`: so many or more),
    the last of which is `last_missed`. `done`: the cursor once that has happened, None: nothing is due."""

    fire: list[datetime]
    missed: int
    last_missed: datetime | None
    done: datetime | None


def decide(
    schedule: Schedule,
    cursor: datetime,
    now: datetime,
    horizon: datetime,
    memory_s: float,
    tried: datetime | None = None,
) -> Decision:
    """What to do with the ticks after `cursor` that are due until `horizon`.

    `memory_s` is how long the id of a job is remembered: an older tick could be sent a second time. `tried`
    is when firing failed first because something was away: what has become due since then is not missed.
    """
    plan, name = schedule.plan, schedule.name
    until = horizon.replace(microsecond=0)
    tick = plan.previous_before(until + _SECOND)
    while tick is not None and tick > cursor and plan.due(name, tick) > horizon:
        tick = plan.previous_before(tick)
    if tick is None or tick <= cursor:
        return Decision([], 0, None, None)
    newest = tick
    oldest = now - timedelta(seconds=min(max(schedule.catch_up_window_s, ON_TIME_S), memory_s))
    on_time = min(now, tried or now) - timedelta(seconds=ON_TIME_S)
    fire: list[datetime] = []
    late = 0
    while tick is not None and tick > cursor and (due := plan.due(name, tick)) > oldest:
        if due < on_time:
            if not _caught_up(schedule, late, bool(fire)):
                break
            late += 1
        fire.append(tick)
        tick = plan.previous_before(tick)
    fire.reverse()
    missed = 0
    if tick is not None and tick > cursor:
        missed = max(1, len(plan.between(cursor, tick, COUNTED)))
    return Decision(fire, missed, tick if missed else None, newest)


def left_out(schedule: Schedule, after: datetime, until: datetime) -> Decision:
    """The ticks of a time in which the schedule was not to fire."""
    ticks = schedule.plan.between(after, until, COUNTED)
    last = schedule.plan.previous_before(until.replace(microsecond=0) + _SECOND) if ticks else None
    return Decision([], len(ticks), last, last)


def _caught_up(schedule: Schedule, late: int, any_fired: bool) -> bool:
    """Whether one more missed tick is fired, going back in time."""
    if schedule.catch_up is CatchUp.ALL:
        return late < schedule.catch_up_max
    return schedule.catch_up is CatchUp.LAST and not any_fired
