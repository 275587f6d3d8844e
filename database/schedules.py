"""Schedules: one row for each, of whatever source, with its cursor, its pause and its flaw.

Who fires moves cursors under its fence (database/scheduler_lease.py). Everybody else's changes are
numbered, so that it sees them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Engine, bindparam, insert, select, update
from sqlalchemy.orm import Session

from database.engine import read_session, write_session
from database.models import SchedulerLeaseRow, ScheduleRow
from database.schedule_history import TickRow, mark_replaced, write_ticks
from database.scheduler_lease import count_change, fence


@dataclass(frozen=True, slots=True)
class StoredSchedule:
    """One row. `cursor` is the last moment that is done with; `document` is None where code or settings say
    what it is; `gone`: they do not any more."""

    name: str
    source: str
    document: str | None
    version: int
    enabled: bool
    cursor: datetime
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    fingerprint: str
    timing: str
    paused_at: datetime | None = None
    paused_by: str | None = None
    flaw: str | None = None
    flawed_at: datetime | None = None
    gone: bool = False
    change: int = 0

    def altered(self, **changes: Any) -> "StoredSchedule":
        """The same with some columns changed."""
        return replace(self, **changes)


#: A cursor lies ahead of the clock by what is handed over early; one that lies further was written by a clock
#: that was fast.
FUTURE = timedelta(minutes=1)


class Changes(NamedTuple):
    """What changed since a number: rows, the names of all there are, and the number to ask from next."""

    rows: list[StoredSchedule]
    names: set[str]
    number: int


_COLUMNS = tuple(StoredSchedule.__slots__)
_SELECTED = [ScheduleRow.__table__.c[name] for name in _COLUMNS]


class Schedules:
    """All verbs raise DatabaseUnavailable, and DatabaseOutdated before the database is migrated."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> list[StoredSchedule]:
        """Every row, by name."""
        return self._read(ScheduleRow.name.is_not(None))

    def get(self, name: str) -> StoredSchedule | None:
        """One row, if there is such a schedule."""
        return next(iter(self._read(ScheduleRow.name == name)), None)

    def changed_since(self, number: int) -> Changes:
        """The rows that somebody changed after the change of this number; -1 asks for all."""
        with read_session(self._engine) as session:
            # First, so that no change falls between; and not from the rows, as one that is removed has none.
            last = session.scalars(select(SchedulerLeaseRow.changes)).one()
            rows = _rows(session, ScheduleRow.change > number)
            names = set(session.scalars(select(ScheduleRow.name)))
        return Changes(rows, names, max(last, number))

    # What people change

    def add(self, new: StoredSchedule) -> StoredSchedule | None:
        """Store a new one; None when the name is taken."""
        with write_session(self._engine) as session:
            change = count_change(session)
            if session.get(ScheduleRow, new.name) is not None:
                session.rollback()
                return None
            session.add(ScheduleRow(**_values(new.altered(change=change))))
            return new.altered(change=change)

    def edit(
        self,
        name: str,
        changes: Mapping[str, Any],
        by: str,
        *,
        at: datetime,
        version: int | None = None,
        ticks: Iterable[TickRow] = (),
        back_to: datetime | None = None,
    ) -> StoredSchedule | None:
        """Change columns of one row, and write ticks into its history, in one step; the row as it is then.
        What was done with after `back_to` is due again: its jobs are taken back.

        None when there is none, or its version is not the one that is expected.
        """
        with write_session(self._engine) as session:
            change = count_change(session)
            row = session.get(ScheduleRow, name, with_for_update=True)
            if row is None or version not in (None, row.version):
                session.rollback()
                return None
            for column, value in changes.items():
                setattr(row, column, value)
            row.version, row.change, row.updated_at, row.updated_by = row.version + 1, change, at, by
            _put_back(row, back_to)
            session.flush()
            write_ticks(session, self._engine, list(ticks))
            return _stored(row)

    def pause(self, name: str, by: str, at: datetime, back_to: datetime | None = None) -> bool | None:
        """Fire it no more; False when it was paused, None when there is none. What was done with after
        `back_to` is due again once it is resumed: its jobs are taken back."""
        with write_session(self._engine) as session:
            change = count_change(session)
            row = session.get(ScheduleRow, name, with_for_update=True)
            if row is None or row.paused_at is not None:
                session.rollback()
                return None if row is None else False
            row.paused_at, row.paused_by, row.change = at, by, change
            _put_back(row, back_to)
            return True

    def resume(self, name: str, at: datetime, missed: TickRow | None) -> bool | None:
        """Fire it again, from now on; False when it was not paused, None when there is none.

        `missed` tells of the ticks that were left out.
        """
        with write_session(self._engine) as session:
            change = count_change(session)
            row = session.get(ScheduleRow, name, with_for_update=True)
            if row is None or row.paused_at is None:
                session.rollback()
                return None if row is None else False
            row.paused_at = row.paused_by = None
            row.cursor, row.change = begins_at(row.cursor, at), change
            session.flush()
            write_ticks(session, self._engine, [missed] if missed else [])
            return True

    def remove(self, name: str, version: int | None = None) -> bool | None:
        """Remove it unless its version is another one by now (False); None when there is none. A version of
        None is any. Its history stays for its time."""
        with write_session(self._engine) as session:
            count_change(session)
            row = session.get(ScheduleRow, name, with_for_update=True)
            if row is None or version not in (None, row.version):
                session.rollback()
                return None if row is None else False
            session.delete(row)
            return True

    # What the one who fires changes. All raise LeaseTaken

    def reconcile(
        self,
        token: int,
        new: Sequence[StoredSchedule],
        changed: Mapping[str, Mapping[str, Any]],
        ticks: Sequence[TickRow] = (),
    ) -> None:
        """Store declared schedules that are new, and columns of those that differ; versions stay."""
        with write_session(self._engine) as session:
            fence(session, token)
            taken = set(session.scalars(select(ScheduleRow.name)))
            rows = [_values(row) for row in new if row.name not in taken]
            if rows:
                session.execute(insert(ScheduleRow), rows)
            for columns, group in _by_columns(changed).items():
                table = ScheduleRow.__table__
                statement = (
                    update(table)  # type: ignore[arg-type]
                    .where(table.c.name == bindparam("this"))
                    .values({column: bindparam(f"new_{column}") for column in columns})
                )
                session.connection().execute(statement, group)
            write_ticks(session, self._engine, ticks)

    def advance(
        self,
        token: int,
        cursors: Mapping[str, datetime],
        ticks: Sequence[TickRow],
        replaced: Sequence[tuple[str, str]] = (),
        seen: int | None = None,
    ) -> None:
        """Move cursors, never back, and write down what became of the ticks; all or nothing.

        The cursor of a schedule that somebody has changed after the change number `seen` stays: jobs of it
        may have been taken back, and who fires it has to read it again.
        """
        table = ScheduleRow.__table__
        which = [table.c.name == bindparam("this"), table.c.cursor < bindparam("to")]
        if seen is not None:
            which.append(table.c.change <= seen)
        statement = (
            update(table)  # type: ignore[arg-type]
            .where(*which)
            .values(cursor=bindparam("to"))
        )
        with write_session(self._engine) as session:
            fence(session, token)
            moves = [{"this": name, "to": cursor} for name, cursor in sorted(cursors.items())]
            if moves:
                session.connection().execute(statement, moves)
            write_ticks(session, self._engine, ticks)
            mark_replaced(session, replaced)

    def _read(self, which: Any) -> list[StoredSchedule]:
        with read_session(self._engine) as session:
            return _rows(session, which)


def begins_at(cursor: datetime, now: datetime) -> datetime:
    """The cursor of a schedule that begins now: what was handed over early stays done with, but not what only
    a fast clock has done with. Ids keep a tick from having two jobs."""
    return cursor if now < cursor <= now + FUTURE else now


def _put_back(row: ScheduleRow, back_to: datetime | None) -> None:
    if back_to is not None and row.cursor > back_to:
        row.cursor = back_to


def _rows(session: Session, which: Any) -> list[StoredSchedule]:
    # Columns of the table, and no objects: ten thousand of those take half a second.
    found = session.connection().execute(select(*_SELECTED).where(which).order_by(ScheduleRow.name))
    return [StoredSchedule(*row) for row in found]


def _stored(row: ScheduleRow) -> StoredSchedule:
    return StoredSchedule(**{name: _in_utc(getattr(row, name)) for name in _COLUMNS})


def _in_utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _values(row: StoredSchedule) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _COLUMNS}


def _by_columns(changed: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    """Updates that set the same columns, together."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for name, values in sorted(changed.items()):
        row = {"this": name} | {f"new_{column}": value for column, value in values.items()}
        groups.setdefault(tuple(sorted(values)), []).append(row)
    return groups
