"""At the start of a leader: rows follow what code and settings declare, and flaws follow what fits here."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from database.schedule_history import TickRow
from database.schedules import FUTURE, StoredSchedule, begins_at
from jobs.schedules import Schedule, Source, fingerprint
from scheduling.book import WHILE_DISABLED, missed_of
from scheduling.documents import timing_of
from scheduling.entries import GONE, Entry, entry_of, new_row

if TYPE_CHECKING:
    from actors.composition import App

logger = logging.getLogger("callboard.schedules")

WHILE_GONE = "while it was not declared"
#: One that comes back within this time goes on where it was: a standby of another release may have fired
#: meanwhile, which does not know it.
GRACE = timedelta(hours=1)


@dataclass
class Reconciled:
    """The entries as they are then, and what has to be written so that the rows say so."""

    entries: list[Entry] = field(default_factory=list)
    new: list[StoredSchedule] = field(default_factory=list)
    changed: dict[str, dict[str, Any]] = field(default_factory=dict)
    ticks: list[TickRow] = field(default_factory=list)


def reconcile(
    app: "App", rows: Sequence[StoredSchedule], declared: Mapping[str, Schedule], now: datetime
) -> Reconciled:
    """Compare rows with what is declared. New ones begin now, and so do those with another timing, those that
    come back after more than an hour, and those that are enabled again. Raises KeyUnavailable."""
    found = Reconciled()
    for row in rows:
        found.entries.append(_reconciled(app, row, declared.get(row.name), now, found))
    known = {row.name for row in rows}
    for name, schedule in declared.items():
        if name not in known:
            entry = entry_of(app, new_row(app, schedule, now, schedule.source.value), schedule)
            row = with_flaw(entry, now)
            found.new.append(row)
            found.entries.append(Entry(row, schedule, entry.flaw, entry.private))
    return found


def with_flaw(entry: Entry, now: datetime, *, was_on: bool = True) -> StoredSchedule:
    """The row with the flaw as it is found here; one that is new, or healed, is told to the log. Of a
    schedule that is off nobody needs to be warned before it is switched on."""
    row, flaw = entry.row, entry.flaw
    if flaw == row.flaw and (flaw is None or was_on or not row.enabled):
        return row
    if flaw is None:
        logger.info("Schedule %s fits again.", row.name)
    elif row.gone:
        logger.warning("Schedule %s: %s", row.name, flaw)
    else:
        logger.log(
            logging.ERROR if row.enabled else logging.DEBUG, "Schedule %s cannot run: %s", row.name, flaw
        )
    return row.altered(flaw=flaw, flawed_at=None if flaw is None else now)


def _reconciled(
    app: "App", row: StoredSchedule, schedule: Schedule | None, now: datetime, found: Reconciled
) -> Entry:
    if row.source == Source.RUNTIME and schedule is not None:
        logger.error(
            "Schedule %s is declared in %s, but one of this name was made at runtime, which counts: "
            "delete that, or rename one of them.",
            row.name,
            schedule.source.value,
        )
    # Those made at runtime may be thousands: they are looked at one by one, later.
    entry = entry_of(app, row, schedule, examine=row.source != Source.RUNTIME)
    after = with_flaw(entry, now, was_on=row.enabled) if entry.examined else entry.row
    if row.source != Source.RUNTIME and schedule is not None:
        after = _as_declared(row, after, schedule, now, found)
    if after.cursor > now + FUTURE:
        logger.warning(
            "Schedule %s was done with until %s, which is to come: a clock was fast. It goes on from now.",
            row.name,
            after.cursor,
        )
        after = after.altered(cursor=now)
    if after is not row and (changed := _differences(row, after)):
        found.changed[row.name] = changed
    return replace(entry, row=after)


def _as_declared(
    before: StoredSchedule, row: StoredSchedule, schedule: Schedule, now: datetime, found: Reconciled
) -> StoredSchedule:
    mark = fingerprint(schedule)
    back, enabled_again = before.gone, schedule.enabled and not before.enabled
    if mark == before.fingerprint and not back and not enabled_again and row.enabled == before.enabled:
        return row
    timing = timing_of(schedule)
    if back and not enabled_again and timing == before.timing and _just_gone(before, now):
        back = False
    if back or enabled_again:
        why = WHILE_GONE if back else WHILE_DISABLED
        found.ticks += missed_of(schedule, before, now, why)
    if back or enabled_again or timing != before.timing:
        row = row.altered(cursor=begins_at(before.cursor, now))
    by = schedule.source.value
    return row.altered(fingerprint=mark, timing=timing, updated_at=now, updated_by=by)


def _just_gone(row: StoredSchedule, now: datetime) -> bool:
    return row.flawed_at is not None and now - row.flawed_at <= GRACE


def _differences(before: StoredSchedule, after: StoredSchedule) -> dict[str, Any]:
    return {
        name: getattr(after, name)
        for name in StoredSchedule.__slots__
        if getattr(after, name) != getattr(before, name)
    }


__all__ = ["GONE", "Reconciled", "reconcile", "with_flaw"]
