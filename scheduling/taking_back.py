"""Jobs that were handed over before they are due, taken back when their schedule is paused or changed.

Their ticks are due again first, in the same transaction as the change, and only then are the jobs withdrawn:
whoever dies between leaves jobs that run, and whose ids keep a second one out.
"""

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from database.errors import DatabaseUnavailable
from database.schedule_history import ScheduleHistory
from jobs.errors import CallboardError
from jobs.ids import scoped_id
from jobs.schedules import Overlap, Schedule, tick_id
from scheduling.line import MOST_AHEAD_S

if TYPE_CHECKING:
    from actors.composition import App

logger = logging.getLogger("callboard.schedules")

#: Who fires may have another clock than who asks, in seconds.
CLOCKS_S = 2.0
_SECOND = timedelta(seconds=1)


def handed_over(schedule: Schedule | None, now: datetime) -> list[datetime]:
    """The ticks, oldest first, whose jobs may be in the store already though they are to come."""
    if schedule is None or schedule.overlap is not Overlap.ALLOW:
        return []
    plan, until = schedule.plan, now + timedelta(seconds=MOST_AHEAD_S + CLOCKS_S)
    found: list[datetime] = []
    tick = plan.next_after(now - timedelta(seconds=plan.jitter_s))
    while tick is not None and tick <= until:
        if now < plan.due(schedule.name, tick) <= until:
            found.append(tick)
        tick = plan.next_after(tick)
    return found


def cursor_before(ticks: list[datetime], now: datetime) -> datetime | None:
    """Where a schedule goes on when these ticks are due again; None when there are none."""
    return min(now, ticks[0] - _SECOND) if ticks else None


def take_back(app: "App", schedule: Schedule | None, ticks: list[datetime], why: str) -> None:
    """Withdraw the jobs of these ticks unless they have begun, and write that down. What cannot be reached
    now is told to the log: then they run, once."""
    if schedule is None or not ticks:
        return
    tenant = schedule.options.get("tenant_id") or ""
    ids = [scoped_id(tenant, tick_id(schedule.name, tick)) for tick in ticks]
    try:
        withdrawn = app.store.withdraw(ids)
        # One that is not there was withdrawn by somebody else just now, or never sent.
        gone = [
            tick
            for tick, job_id, done in zip(ticks, ids, withdrawn, strict=True)
            if done or app.store.get(job_id) is None
        ]
    except CallboardError as error:
        logger.warning(
            "Jobs of schedule %s that were handed over before their time may run all the same: %s",
            schedule.name,
            error,
        )
        return
    if any(withdrawn):
        logger.info("%d jobs of schedule %s were taken back: %s.", sum(withdrawn), schedule.name, why)
    try:
        if gone:
            ScheduleHistory(app.engine()).taken_back(schedule.name, gone, why)
    except DatabaseUnavailable as error:
        logger.warning("History of schedule %s lacks that jobs were taken back: %s", schedule.name, error)
