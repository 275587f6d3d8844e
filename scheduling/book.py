"""The schedules there are, of code, settings and SQL together, and what people do with them."""

import difflib
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from database.errors import DatabaseUnavailable
from database.schedule_history import ScheduleHistory, TickKind, TickRow
from database.scheduler_lease import SchedulerLease
from database.schedules import Schedules, StoredSchedule, begins_at
from jobs.errors import InvalidSchedule
from jobs.schedules import Schedule, Source, fingerprint
from jobs.times.intervals import Once
from scheduling import checking, firing
from scheduling.catch_up import left_out
from scheduling.declared import declared
from scheduling.documents import timing_of, written
from scheduling.entries import STILL_FIRED, Entry, State, entry_of, new_row, notice_of
from scheduling.errors import NotEditable, ScheduleChanged, ScheduleExists, UnknownSchedule
from scheduling.firing import Fired, missed_row
from scheduling.taking_back import cursor_before, handed_over, take_back

if TYPE_CHECKING:
    from actors.composition import App

__all__ = ["Book", "Entry", "State"]

logger = logging.getLogger("callboard.schedules")

WHILE_PAUSED = "while it was paused"
WHILE_DISABLED = "while it was disabled"
BEFORE_CHANGE = "before its timing was changed"


class Book:
    """`now` is the clock; without one it is that by which ticks are fired, the database's where it has one.
    All verbs raise DatabaseUnavailable, and DatabaseOutdated before the migration."""

    def __init__(self, app: "App", now: Callable[[], datetime] | None = None) -> None:
        self._app = app
        self._now = now or SchedulerLease(app.engine()).now

    # Reading

    def entries(self) -> list[Entry]:
        """All of them, by name; declared ones also before a scheduler ever ran."""
        known = declared(self._app)
        rows = {row.name: row for row in self._rows.all()}
        notices = {name: notice_of(rows.get(name), known.get(name)) for name in rows.keys() | known.keys()}
        now = self._now()
        for name, schedule in known.items():
            if name not in rows:
                rows[name] = new_row(self._app, schedule, now, schedule.source.value)
        return [
            replace(entry_of(self._app, row, known.get(name)), notice=notices[name])
            for name, row in sorted(rows.items())
        ]

    def entry(self, name: str) -> Entry:
        """One of them. Raises UnknownSchedule with the nearest name."""
        schedule, row = declared(self._app).get(name), self._rows.get(name)
        notice = notice_of(row, schedule)
        if row is None and schedule is not None:
            row = new_row(self._app, schedule, self._now(), schedule.source.value)
        if row is None:
            self._unknown(name)
        return replace(entry_of(self._app, row, schedule), notice=notice)

    def check(self, schedule: Schedule) -> None:
        """Raise InvalidSchedule, InvalidPayload or UnknownActor unless it could be fired."""
        checking.check(self._app, schedule)

    # Runtime schedules

    def add(self, schedule: Schedule, by: str) -> Entry:
        """Store a new schedule, which begins now. Raises ScheduleExists, KeyMissing, what `check` does."""
        schedule = replace(schedule, source=Source.RUNTIME)
        self.check(schedule)
        self._must_have_a_tick(schedule)
        if schedule.name in declared(self._app):
            self._taken(schedule.name)
        row = self._rows.add(new_row(self._app, schedule, self._now(), by))
        if row is None:
            self._taken(schedule.name)
        return entry_of(self._app, row, None)

    def replace(self, schedule: Schedule, by: str, version: int | None = None) -> Entry:
        """Put another schedule in the place of the one with its name; with another timing it begins now.

        Raises UnknownSchedule, NotEditable, ScheduleChanged unless its version is still this one, KeyMissing,
        and what `check` does.
        """
        schedule = replace(schedule, source=Source.RUNTIME)
        before = self._editable(schedule.name)
        self.check(schedule)
        now = self._now()
        ready = handed_over(before.schedule, now) if before.fires else []
        changes, ticks = self._changes(before, schedule, now)
        if changes["timing"] != before.row.timing:
            self._must_have_a_tick(schedule)
        row = self._rows.edit(
            schedule.name,
            changes,
            by,
            at=now,
            version=before.row.version if version is None else version,
            ticks=ticks,
            back_to=cursor_before(ready, now),
        )
        if row is None:
            raise ScheduleChanged(
                f"Schedule {schedule.name!r} was changed since it was read; read it again, then change it."
            )
        take_back(self._app, before.schedule, ready, f"changed by {by}")
        return entry_of(self._app, row, None)

    def delete(self, name: str, by: str, version: int | None = None) -> None:
        """Remove a schedule that was made at runtime, or that the scheduler found declared no more; its
        history stays.

        Raises UnknownSchedule, NotEditable, and ScheduleChanged unless its version is still this one.
        """
        entry, now = self.entry(name), self._now()
        self.check_deletable(entry)
        removed = self._rows.remove(name, version)
        if removed is None:
            self._unknown(name)
        if not removed:
            raise ScheduleChanged(
                f"Schedule {name!r} was changed since it was read; read it again, then delete it."
            )
        if entry.fires:
            take_back(self._app, entry.schedule, handed_over(entry.schedule, now), f"deleted by {by}")

    def check_deletable(self, entry: Entry) -> None:
        """Raises NotEditable. What this process does not know may be fired by a scheduler that does."""
        if entry.notice == STILL_FIRED:
            raise NotEditable(
                f"Schedule {entry.name!r} is not declared here, but the scheduler fires it: restart the "
                "scheduler with the same code and settings, then delete it."
            )
        if entry.state is not State.GONE:
            self._must_be_editable(entry)

    # Any schedule

    def pause(self, name: str, by: str) -> bool:
        """Fire it no more, and take back what was handed over early; False when it was paused already.
        Raises UnknownSchedule."""
        self._with_row(name)
        entry, now = self.entry(name), self._now()
        ready = handed_over(entry.schedule, now) if entry.fires else []
        paused = self._known(name, self._rows.pause(name, by, now, cursor_before(ready, now)))
        if paused:
            take_back(self._app, entry.schedule, ready, f"paused by {by}")
        return paused

    def resume(self, name: str, by: str) -> bool:
        """Fire it again, from now on: what was missed is noted in its history, and not caught up. False when
        it was not paused. Raises UnknownSchedule."""
        self._with_row(name)
        entry, now = self.entry(name), self._now()
        missed = self._missed(entry, now, WHILE_PAUSED)
        return self._known(name, self._rows.resume(name, now, missed[0] if missed else None))

    def run_now(self, name: str, by: str) -> Fired:
        """Hand over a job of it now, also when it is paused. Its ticks stay as they are.

        Raises UnknownSchedule, InvalidSchedule when it cannot be read, and what enqueueing raises.
        """
        entry = self.entry(name)
        if entry.schedule is None:
            raise InvalidSchedule(f"Schedule {name!r} cannot be run: {entry.flaw}")
        self.check(entry.schedule)
        fired = firing.run_now(self._app, entry.schedule, self._now())
        try:
            ScheduleHistory(self._app.engine()).add([fired.row(TickKind.RUN, by)])
        except DatabaseUnavailable as error:
            logger.error("%s was run by hand, but that is not in its history: %s", name, error)
        return fired

    # Inside

    @property
    def _rows(self) -> Schedules:
        return Schedules(self._app.engine())

    def _changes(self, before: Entry, after: Schedule, now: datetime) -> tuple[dict[str, Any], list[TickRow]]:
        changes: dict[str, Any] = {
            "document": written(self._app, after),
            "enabled": after.enabled,
            "fingerprint": fingerprint(after),
            "timing": timing_of(after),
            "flaw": None,
            "flawed_at": None,
        }
        row = before.row
        enabled_again = after.enabled and not row.enabled
        if not enabled_again and changes["timing"] == row.timing:
            return changes, []
        changes["cursor"] = begins_at(row.cursor, now)
        why = BEFORE_CHANGE if row.paused_at is None else WHILE_PAUSED
        return changes, self._missed(before, now, why if row.enabled else WHILE_DISABLED)

    def _missed(self, entry: Entry, now: datetime, why: str) -> list[TickRow]:
        return missed_of(entry.schedule, entry.row, now, why)

    def _with_row(self, name: str) -> None:
        """A declared schedule has no row before a scheduler has seen it."""
        if self._rows.get(name) is None:
            # Without a fingerprint it counts as new until a scheduler has read its declaration.
            self._rows.add(self.entry(name).row.altered(fingerprint=""))

    def _editable(self, name: str) -> Entry:
        entry = self.entry(name)
        self._must_be_editable(entry)
        return entry

    def _must_be_editable(self, entry: Entry) -> None:
        if not entry.editable:
            place = "settings" if entry.source is Source.SETTINGS else "code"
            raise NotEditable(
                f"Schedule {entry.name!r} is declared in {place}; change it there. Here it can be paused."
            )

    def _must_have_a_tick(self, schedule: Schedule) -> None:
        if schedule.plan.next_after(self._now()) is None:
            field = (
                "at" if isinstance(schedule.plan.timing, Once) else "end" if schedule.plan.end else "exclude"
            )
            raise InvalidSchedule(f"{field} leaves no tick from now on: choose a later time.")

    def _known(self, name: str, done: bool | None) -> bool:
        if done is None:
            self._unknown(name)
        return done

    def _taken(self, name: str) -> NoReturn:
        raise ScheduleExists(f"There is a schedule named {name!r} already; choose another name.")

    def _unknown(self, name: str) -> NoReturn:
        names = {row.name for row in self._rows.all()} | declared(self._app).keys()
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise UnknownSchedule(f"There is no schedule named {name!r}{hint}")


def missed_of(schedule: Schedule | None, row: StoredSchedule, now: datetime, why: str) -> list[TickRow]:
    """What a schedule did not fire since its cursor, as one row of its history, or none."""
    if schedule is None:
        return []
    passed = left_out(schedule, row.cursor, now)
    if passed.last_missed is None:
        return []
    return [missed_row(schedule, passed.missed, passed.last_missed, now, why)]
