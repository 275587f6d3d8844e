"""Which scheduler fires: one row with an owner, a token that grows with each new one, and an end.

The lease only saves work: two processes that both fire make one job of each tick all the same. What must not
be done by two is to move cursors, and that happens in transactions that `fence` has let in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.orm import Session

from database.dialects import insert_into
from database.engine import read_session, write_session
from database.models import SchedulerLeaseRow, SchedulerProcessRow
from jobs.errors import CallboardError

LEASE_S = 6.0
#: Processes that have not been seen for so long, in seconds, are forgotten.
FORGET_S = 60.0
_NAME = "scheduler"
_ROW = SchedulerLeaseRow.name == _NAME


class LeaseTaken(CallboardError):
    """Another scheduler has taken over: what this one was about to store is not stored."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The lease now. `changes` numbers the changes of schedules; times are of the database's clock."""

    owner: str
    token: int
    until: datetime | None
    now: datetime
    changes: int
    lease_s: float = LEASE_S

    @property
    def held(self) -> bool:
        """Whether somebody has it. One that ends later than a lease lasts was written by a clock that has
        been put back since."""
        if not self.owner or self.until is None:
            return False
        return self.now < self.until <= self.now + timedelta(seconds=self.lease_s + 1)


@dataclass(frozen=True, slots=True)
class SchedulerProcess:
    """One scheduler that fires or stands by, and how long ago, in seconds, it was seen."""

    owner: str
    host: str
    pid: int
    started_at: datetime
    seen_at: datetime
    age_s: float
    leads: bool
    schedules: int


class SchedulerLease:
    """`lease_s` in seconds. PostgreSQL's own clock counts; on SQLite, which has none, `clock` of this host.

    All verbs raise DatabaseUnavailable, and DatabaseOutdated before the database is migrated.
    """

    def __init__(
        self,
        engine: Engine,
        lease_s: float = LEASE_S,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._engine = engine
        self._lease_s = lease_s
        self._clock = clock

    def take(self, owner: str) -> int | None:
        """Become the owner: the new token, or None while another one holds it."""
        with write_session(self._engine) as session:
            row = _locked(session)
            standing = self._standing(session, row)
            if standing.held and standing.owner != owner:
                return None
            row.owner, row.token = owner, row.token + 1
            row.until = standing.now + timedelta(seconds=self._lease_s)
            return row.token

    def renew(self, token: int) -> bool:
        """Prolong it. False: another one has taken over."""
        with write_session(self._engine) as session:
            mine = (_ROW, SchedulerLeaseRow.token == token, SchedulerLeaseRow.owner != "")
            until = self._now(session) + timedelta(seconds=self._lease_s)
            renewed = session.execute(update(SchedulerLeaseRow).where(*mine).values(until=until))
            return bool(renewed.rowcount)  # type: ignore[attr-defined]

    def release(self, token: int) -> None:
        """Give it up, so that the next one need not wait for its end."""
        with write_session(self._engine) as session:
            mine = (_ROW, SchedulerLeaseRow.token == token)
            session.execute(update(SchedulerLeaseRow).where(*mine).values(owner="", until=None))

    def standing(self) -> Standing:
        """Who has it. Locks nothing."""
        with read_session(self._engine) as session:
            row = session.scalars(select(SchedulerLeaseRow).where(_ROW)).one()
            return self._standing(session, row)

    def seen(self, owner: str, host: str, pid: int, started_at: datetime, schedules: int) -> None:
        """Note that this process is there, and forget those that are not any more."""
        with write_session(self._engine) as session:
            now = self._now(session)
            facts = {"host": host, "pid": pid, "seen_at": now, "schedules": schedules}
            insert = insert_into(self._engine, SchedulerProcessRow)
            insert = insert.values(owner=owner, started_at=started_at, **facts)
            session.execute(insert.on_conflict_do_update(index_elements=["owner"], set_=facts))
            old = SchedulerProcessRow.seen_at < now - timedelta(seconds=FORGET_S)
            session.execute(delete(SchedulerProcessRow).where(old))

    def left(self, owner: str) -> None:
        """Note that this process ends."""
        with write_session(self._engine) as session:
            session.execute(delete(SchedulerProcessRow).where(SchedulerProcessRow.owner == owner))

    def processes(self) -> list[SchedulerProcess]:
        """The schedulers there are, by name."""
        with read_session(self._engine) as session:
            standing = self._standing(session, session.scalars(select(SchedulerLeaseRow).where(_ROW)).one())
            rows = session.scalars(select(SchedulerProcessRow).order_by(SchedulerProcessRow.owner))
            return [
                SchedulerProcess(
                    row.owner,
                    row.host,
                    row.pid,
                    row.started_at,
                    row.seen_at,
                    (standing.now - row.seen_at).total_seconds(),
                    standing.held and standing.owner == row.owner,
                    row.schedules,
                )
                for row in rows
            ]

    def _standing(self, session: Session, row: SchedulerLeaseRow) -> Standing:
        return Standing(row.owner, row.token, row.until, self._now(session), row.changes, self._lease_s)

    def now(self) -> datetime:
        """The time that counts for everybody."""
        if self._engine.dialect.name != "postgresql":
            return self._clock()
        with read_session(self._engine) as session:
            return self._now(session)

    def _now(self, session: Session) -> datetime:
        if self._engine.dialect.name != "postgresql":
            return self._clock()
        now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
        return now.astimezone(UTC)


def fence(session: Session, token: int) -> None:
    """Let in only who has the lease, and let nobody take it until the transaction ends.

    Raises LeaseTaken.
    """
    if session.execute(select(SchedulerLeaseRow.token).where(_ROW).with_for_update()).scalar_one() != token:
        raise LeaseTaken("Another scheduler has taken over; it fires what is due.")


def count_change(session: Session) -> int:
    """The number of a change that somebody makes to schedules; the one who fires sees that it has grown.

    It comes first in a transaction: who moves cursors locks the lease before any schedule, too.
    """
    row = _locked(session)
    row.changes += 1
    session.flush()
    return row.changes


def _locked(session: Session) -> SchedulerLeaseRow:
    return session.execute(select(SchedulerLeaseRow).where(_ROW).with_for_update()).scalar_one()
