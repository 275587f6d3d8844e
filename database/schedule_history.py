"""What became of each tick of a schedule."""

from collections.abc import Collection, Generator, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from database.dialects import insert_into
from database.engine import read_session, write_session
from database.models import ScheduleTick

KEPT_EACH = 1_000
KEPT_DAYS = 30
CHUNK = 1_000  # rows of one transaction
#: Names in one statement: SQLite takes no more than 32,766 values.
NAMES = 500


class TickKind(StrEnum):
    """What a row tells of."""

    TICK = "tick"
    RUN = "run"  # somebody ran it by hand; `tick` is when
    MISSED = "missed"  # `count` ticks that were left out, the last of which is `tick`


class TickOutcome(StrEnum):
    """What became of it."""

    ENQUEUED = "enqueued"
    SKIPPED_OVERLAP = "skipped_overlap"  # an earlier one was not done, or a newer one took its place
    SKIPPED_MISSED = "skipped_missed"  # nobody fired it in time, and it is not caught up
    REFUSED = "refused"  # its actor is not there, or takes no such arguments
    WAITS = "waits"  # this release does not know its actor, and the next one may
    TAKEN_BACK = "taken_back"  # its job was ready, and had not begun when somebody paused or changed it


@dataclass(frozen=True, slots=True)
class TickRow:
    """One row. `due` is the tick with its jitter, `late_ms` how long after that it was fired."""

    schedule: str
    kind: str
    tick: datetime
    due: datetime
    outcome: str
    job_id: str | None
    fired_at: datetime
    late_ms: int
    count: int = 1
    note: str = ""
    by: str = ""


class ScheduleHistory:
    """All verbs raise DatabaseUnavailable, and DatabaseOutdated before the database is migrated."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of(self, schedule: str, limit: int = 50, before: datetime | None = None) -> list[TickRow]:
        """The rows of one schedule, newest tick first; those before a tick for the next page."""
        wanted = select(ScheduleTick).where(ScheduleTick.schedule == schedule)
        if before is not None:
            wanted = wanted.where(ScheduleTick.tick < before)
        wanted = wanted.order_by(ScheduleTick.tick.desc(), ScheduleTick.id.desc()).limit(limit)
        with read_session(self._engine) as session:
            return [_row(found) for found in session.scalars(wanted)]

    def last(self, schedules: Collection[str]) -> dict[str, TickRow]:
        """The newest row of each of these schedules that has one."""
        found: dict[str, TickRow] = {}
        names = sorted(schedules)
        newest = func.max(ScheduleTick.tick).label("tick")
        with read_session(self._engine) as session:
            for at in range(0, len(names), NAMES):
                chunk = names[at : at + NAMES]
                tops = (
                    select(ScheduleTick.schedule, newest)
                    .where(ScheduleTick.schedule.in_(chunk))
                    .group_by(ScheduleTick.schedule)
                    .subquery()
                )
                same = and_(ScheduleTick.schedule == tops.c.schedule, ScheduleTick.tick == tops.c.tick)
                rows = session.scalars(select(ScheduleTick).join(tops, same).order_by(ScheduleTick.id))
                found |= {row.schedule: _row(row) for row in rows}
        return found

    def add(self, rows: Iterable[TickRow]) -> None:
        """Write down what was done without moving a cursor."""
        with write_session(self._engine) as session:
            write_ticks(session, self._engine, list(rows))

    def taken_back(self, schedule: str, ticks: Collection[datetime], note: str) -> None:
        """Write down that the jobs of these ticks were taken back."""
        which = (
            ScheduleTick.schedule == schedule,
            ScheduleTick.tick.in_(sorted(ticks)),
            ScheduleTick.kind == TickKind.TICK.value,
            ScheduleTick.outcome == TickOutcome.ENQUEUED.value,
        )
        told = update(ScheduleTick).where(*which).values(outcome=TickOutcome.TAKEN_BACK.value, note=note)
        with write_session(self._engine) as session:
            session.execute(told)

    def trim(self, keep: int = KEPT_EACH, days: int = KEPT_DAYS) -> Generator[int, None, None]:
        """Remove what is too old or too much, a chunk at a time; yields how many rows went."""
        cutoff = datetime.now(UTC) - timedelta(days=days)
        while removed := self._remove(ScheduleTick.fired_at < cutoff):
            yield removed
        with read_session(self._engine) as session:
            counted = select(ScheduleTick.schedule).group_by(ScheduleTick.schedule)
            names = session.scalars(counted.having(func.count() > keep)).all()
        for name in names:
            last = self._last_kept(name, keep)
            if last is None:
                continue
            while removed := self._remove(ScheduleTick.schedule == name, ScheduleTick.tick < last):
                yield removed

    def _last_kept(self, name: str, keep: int) -> datetime | None:
        ticks = select(ScheduleTick.tick).where(ScheduleTick.schedule == name)
        with read_session(self._engine) as session:
            return session.scalar(ticks.order_by(ScheduleTick.tick.desc()).limit(1).offset(keep - 1))

    def _remove(self, *which: Any) -> int:
        with write_session(self._engine) as session:
            ids = session.scalars(select(ScheduleTick.id).where(*which).limit(CHUNK)).all()
            if ids:
                session.execute(delete(ScheduleTick).where(ScheduleTick.id.in_(ids)))
            return len(ids)


def write_ticks(session: Session, engine: Engine, rows: Sequence[TickRow]) -> None:
    """Add rows in a transaction. A tick has one row: that its job was enqueued is the last word on it, and
    that it waits the first."""
    if not rows:
        return
    insert = insert_into(engine, ScheduleTick)
    new = insert.excluded
    facts = ("due", "outcome", "job_id", "fired_at", "late_ms", "count", "note", "by")
    told = insert.on_conflict_do_update(
        index_elements=["schedule", "tick", "kind"],
        set_={name: new[name] for name in facts},
        where=or_(
            and_(
                new.outcome == TickOutcome.ENQUEUED.value, ScheduleTick.outcome != TickOutcome.ENQUEUED.value
            ),
            ScheduleTick.outcome == TickOutcome.WAITS.value,
        ),
    )
    session.connection().execute(told, [asdict(row) | {"note": _text(row.note)} for row in rows])


def mark_replaced(session: Session, replaced: Sequence[tuple[str, str]]) -> None:
    """Note of jobs, by id, that they made way for others before they had started."""
    for job_id, by in replaced:
        session.execute(
            update(ScheduleTick)
            .where(ScheduleTick.job_id == job_id)
            .values(outcome=TickOutcome.SKIPPED_OVERLAP.value, note=f"{by} took its place")
        )


def _row(found: ScheduleTick) -> TickRow:
    return TickRow(**{name: getattr(found, name) for name in TickRow.__slots__})


def _text(value: str) -> str:
    """Without NULs, which PostgreSQL refuses, and without halves of characters, which no database takes."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
