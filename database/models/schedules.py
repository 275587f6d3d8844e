"""Schedules: how far each has come, what became of its ticks, and which process fires them."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from database.models.base import Base, RowId


class ScheduleRow(Base):
    """One schedule of any source. `cursor` is the last moment that is done with: later ticks are due."""

    __tablename__ = "schedules"
    __table_args__ = (Index(None, "change"),)

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    source: Mapped[str] = mapped_column(Text)  # "code", "settings" or "runtime"
    document: Mapped[str | None] = mapped_column(Text)  # JSON; NULL where code or settings have it
    version: Mapped[int] = mapped_column(BigInteger)  # one more with each edit
    enabled: Mapped[bool]
    cursor: Mapped[datetime]
    paused_at: Mapped[datetime | None]
    paused_by: Mapped[str | None] = mapped_column(Text)
    flaw: Mapped[str | None] = mapped_column(Text)  # why it cannot run
    flawed_at: Mapped[datetime | None]
    gone: Mapped[bool]  # neither code nor settings have it any more
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime]
    updated_by: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(Text)  # of all that it says
    timing: Mapped[str] = mapped_column(Text)  # of what says when it fires
    change: Mapped[int] = mapped_column(BigInteger)  # the number of its last change, see scheduler_lease


class ScheduleTick(Base):
    """What became of one tick, of one order to run now, or of a number of ticks that were left out."""

    __tablename__ = "schedule_ticks"
    __table_args__ = (
        UniqueConstraint("schedule", "tick", "kind"),
        Index(None, "job_id"),
        Index(None, "fired_at"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    schedule: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)  # "tick", "run" (by a person) or "missed"
    tick: Mapped[datetime]  # of those left out: the last
    due: Mapped[datetime]  # with jitter
    outcome: Mapped[str] = mapped_column(Text)
    job_id: Mapped[str | None] = mapped_column(Text)
    fired_at: Mapped[datetime]
    late_ms: Mapped[int] = mapped_column(BigInteger)
    count: Mapped[int] = mapped_column(Integer)
    note: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(Text)  # "": the engine


class SchedulerLeaseRow(Base):
    """One row: who fires. `token` grows with each new owner; `changes` numbers the changes of schedules."""

    __tablename__ = "scheduler_lease"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    owner: Mapped[str] = mapped_column(Text)  # "": nobody
    token: Mapped[int] = mapped_column(BigInteger)
    until: Mapped[datetime | None]
    changes: Mapped[int] = mapped_column(BigInteger)


class SchedulerProcessRow(Base):
    """One process that fires, or stands by."""

    __tablename__ = "scheduler_processes"

    owner: Mapped[str] = mapped_column(Text, primary_key=True)
    host: Mapped[str] = mapped_column(Text)
    pid: Mapped[int] = mapped_column(BigInteger)
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    schedules: Mapped[int] = mapped_column(Integer)  # how many it keeps, when it leads
