"""Figures over the audit of attempts: the functions that S3 asks of its job tracker.

All take `Wanted`: a range of time, and one tenant or all. They count attempts by when they ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Engine, Select, case, distinct, func, select, text
from sqlalchemy.orm import Session

from database.audit_reader import ExecutionRow, all_columns
from database.engine import read_session
from database.models import JobExecution as Row
from database.models.executions import FAILED_ATTEMPT, FAILED_JOB
from jobs.model import Outcome
from jobs.states import JobState

#: Kinds of failures and workers that one answer lists.
MOST = 100


class Wanted(NamedTuple):
    """`until` is not included. Times must have a zone; no tenant is all of them, "" the jobs without one."""

    since: datetime
    until: datetime
    tenant_id: str | None = None
    queue: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = [Row.finished_at >= self.since, Row.finished_at < self.until]
        if self.tenant_id is not None:
            found.append(of_tenant(self.tenant_id))
        if self.queue is not None:
            found.append(Row.queue == self.queue)
        return found


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """What attempts of one queue came to; `queue` is None in the sum over all. Spans are milliseconds.

    `jobs` had an attempt in the range; `first_try` completed with their first one, `recovered` with a later.
    """

    queue: str | None
    attempts: int
    jobs: int
    completed: int
    failed: int
    retried: int
    cancelled: int
    lost: int
    first_try: int
    recovered: int
    mean_wait_ms: float | None
    mean_run_ms: float | None
    longest_run_ms: int | None


@dataclass(frozen=True, slots=True)
class Cost:
    unit: str
    amount: float


@dataclass(frozen=True, slots=True)
class ErrorFigures:
    """Attempts that failed for one cause. The message is that of the last one."""

    fingerprint: str | None
    error_type: str | None
    error_code: str | None
    attempts: int
    final: int
    jobs: int
    tenants: int
    first_at: datetime
    last_at: datetime
    last_job_id: str
    last_message: str | None


@dataclass(frozen=True, slots=True)
class WorkerFigures:
    worker: str
    name: str | None
    attempts: int
    completed: int
    failed: int
    busy_ms: int
    mean_run_ms: float | None
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Spans in milliseconds that half, 95 % and 99 % of a queue's attempts did not exceed."""

    queue: str
    p50: int
    p95: int
    p99: int


class AuditFigures:
    """All raise DatabaseUnavailable, and DatabaseOutdated before the database is migrated."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def by_queue(self, wanted: Wanted) -> list[QueueFigures]:
        """The figures of each queue, by name, and first the sum over all."""
        with read_session(self._engine) as session:
            rows = session.execute(
                _figures(wanted).add_columns(Row.queue).group_by(Row.queue).order_by(Row.queue)
            )
            queues = [QueueFigures(row[-1], *_rounded(row[:-1])) for row in rows]
            total = QueueFigures(None, *_rounded(session.execute(_figures(wanted)).one()))
        return [total, *queues]

    def costs(self, wanted: Wanted) -> list[Cost]:
        """What actors reported, by unit."""
        sums = (
            select(Row.cost_unit, func.sum(Row.cost))
            .where(*wanted.conditions(), Row.cost.is_not(None))
            .group_by(Row.cost_unit)
            .order_by(Row.cost_unit)
        )
        with read_session(self._engine) as session:
            return [Cost(unit or "", amount or 0.0) for unit, amount in session.execute(sums)]

    def failures(self, wanted: Wanted, limit: int) -> list[ExecutionRow]:
        """The last attempts with which a job failed for good, newest first."""
        return self._rows(
            all_columns()
            .where(*wanted.conditions(), text(FAILED_JOB))
            .order_by(Row.finished_at.desc(), Row.id.desc())
            .limit(limit)
        )

    def slow(self, wanted: Wanted, threshold_ms: int, limit: int) -> list[ExecutionRow]:
        """Attempts that ran at least so long, the longest first."""
        return self._rows(
            all_columns()
            .where(*wanted.conditions(), Row.run_ms >= threshold_ms)
            .order_by(Row.run_ms.desc(), Row.id.desc())
            .limit(limit)
        )

    def errors(self, wanted: Wanted) -> list[ErrorFigures]:
        """What failed, by cause, the most frequent first."""
        kind = (Row.fingerprint, Row.error_type, Row.error_code)
        groups = (
            select(
                *kind,
                func.count(),
                _count(Row.state == JobState.FAILED.value),
                func.count(distinct(Row.job_id)),
                func.count(distinct(Row.tenant_id)),
                func.min(Row.finished_at),
                func.max(Row.finished_at),
                func.max(Row.id),
            )
            .where(*wanted.conditions(), text(FAILED_ATTEMPT))
            .group_by(*kind)
            .order_by(func.count().desc(), func.max(Row.id).desc())
            .limit(MOST)
        )
        with read_session(self._engine) as session:
            rows: list[Any] = list(session.execute(groups))
            last = _last(session, [row[-1] for row in rows])
            return [ErrorFigures(*(*row[:-1], *last[row[-1]])) for row in rows]

    def workers(self, wanted: Wanted) -> list[WorkerFigures]:
        """What each worker process did, the busiest first."""
        busy = func.coalesce(func.sum(Row.run_ms), 0)
        groups = (
            select(
                Row.worker,
                func.max(Row.worker_name),
                func.count(),
                _count(Row.outcome == Outcome.COMPLETED.value),
                _count(Row.outcome.in_(_FAILURES)),
                busy,
                func.avg(Row.run_ms),
                func.min(Row.finished_at),
                func.max(Row.finished_at),
            )
            .where(*wanted.conditions(), Row.worker.is_not(None))
            .group_by(Row.worker)
            .order_by(busy.desc(), Row.worker)
            .limit(MOST)
        )
        with read_session(self._engine) as session:
            rows: list[Any] = list(session.execute(groups))
            return [WorkerFigures(*(*row[:5], int(row[5]), _number(row[6]), *row[7:])) for row in rows]

    def run_percentiles(self, wanted: Wanted) -> list[Percentiles]:
        """How long attempts ran, by queue."""
        return self._percentiles(wanted, Row.run_ms)

    def wait_percentiles(self, wanted: Wanted) -> list[Percentiles]:
        """How long attempts waited after they might have started, by queue."""
        return self._percentiles(wanted, Row.wait_ms)

    def _percentiles(self, wanted: Wanted, span: Any) -> list[Percentiles]:
        ranked = (
            select(
                Row.queue.label("queue"),
                span.label("span"),
                func.row_number().over(partition_by=Row.queue, order_by=span).label("place"),
                func.count().over(partition_by=Row.queue).label("all"),
            )
            .where(*wanted.conditions(), span.is_not(None))
            .subquery()
        )
        # The smallest span that so many do not exceed: its place is that share, rounded up.
        picked = [
            func.min(case((ranked.c.place * 100 >= ranked.c.all * share, ranked.c.span)))
            for share in (50, 95, 99)
        ]
        statement = select(ranked.c.queue, *picked).group_by(ranked.c.queue).order_by(ranked.c.queue)
        with read_session(self._engine) as session:
            return [Percentiles(*row) for row in session.execute(statement)]

    def _rows(self, statement: Select[Any]) -> list[ExecutionRow]:
        with read_session(self._engine) as session:
            return [ExecutionRow(*row) for row in session.execute(statement)]


_FAILURES = (Outcome.RETRY.value, Outcome.FAILED.value, Outcome.LOST.value)


def of_tenant(tenant_id: str) -> ColumnElement[bool]:
    """The rows of one tenant; "" is the jobs without one."""
    return Row.tenant_id == tenant_id if tenant_id else Row.tenant_id.is_(None)


def _figures(wanted: Wanted) -> Select[Any]:
    completed = Row.outcome == Outcome.COMPLETED.value
    return select(
        func.count(),
        func.count(distinct(Row.job_id)),
        _count(completed),
        _count(Row.state == JobState.FAILED.value),
        _count(Row.outcome == Outcome.RETRY.value),
        _count(Row.outcome == Outcome.CANCELLED.value),
        _count(Row.outcome == Outcome.LOST.value),
        _count(completed & (Row.attempt <= 1)),
        _count(completed & (Row.attempt > 1)),
        func.avg(Row.wait_ms),
        func.avg(Row.run_ms),
        func.max(Row.run_ms),
    ).where(*wanted.conditions())


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _rounded(row: Sequence[Any]) -> tuple[Any, ...]:
    """PostgreSQL's averages are decimals."""
    *counts, wait, run, longest = row
    return (*map(int, counts), _number(wait), _number(run), longest)


def _number(value: Any) -> float | None:
    return None if value is None else round(float(value), 3)


def _last(session: Session, ids: Sequence[int]) -> dict[int, tuple[str, str | None]]:
    found = session.execute(select(Row.id, Row.job_id, Row.error_message).where(Row.id.in_(ids)))
    return {row_id: (job_id, message) for row_id, job_id, message in found}
