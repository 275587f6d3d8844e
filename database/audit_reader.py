"""Reads the rows of the audit: the attempts of a job, counts, failures."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, func, select, text

from database.engine import read_session
from database.models import JobExecution
from database.models.executions import FAILED_JOB
from jobs.model import Outcome


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    """One attempt as the audit keeps it. Times are UTC, spans milliseconds."""

    job_id: str
    attempt: int
    token: int
    queue: str
    actor: str
    tenant_id: str | None
    user_id: str | None
    outcome: str
    state: str
    worker: str | None
    worker_name: str | None
    created_at: datetime
    ready_at: datetime | None
    started_at: datetime | None
    finished_at: datetime
    wait_ms: int | None
    run_ms: int | None
    error_type: str | None
    error_code: str | None
    error_message: str | None
    stack: str | None
    fingerprint: str | None
    input_digest: str | None
    reason: str | None
    recorded_at: datetime
    inputs: bytes | None
    trace_id: str | None
    cost: float | None
    cost_unit: str | None


class AuditReader:
    """Reads the audit. Times given to it must have a zone. All raise DatabaseUnavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def attempts(self, job_id: str) -> list[ExecutionRow]:
        """Every attempt of one job, in the order in which they ran."""
        return self._rows(
            all_columns()
            .where(JobExecution.job_id == job_id)
            .order_by(JobExecution.created_at, JobExecution.token, JobExecution.id)
        )

    def count_executions(
        self,
        *,
        tenant_id: str | None = None,
        job_id: str | None = None,
        queue: str | None = None,
        outcome: Outcome | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> int:
        """How many attempts ended, of those that fit all that is given; `until` is not included."""
        wanted: list[ColumnElement[bool]] = [
            column == value
            for column, value in (
                (JobExecution.tenant_id, tenant_id),
                (JobExecution.job_id, job_id),
                (JobExecution.queue, queue),
                (JobExecution.outcome, outcome and outcome.value),
            )
            if value is not None
        ]
        if since is not None:
            wanted.append(JobExecution.finished_at >= since)
        if until is not None:
            wanted.append(JobExecution.finished_at < until)
        with read_session(self._engine) as session:
            count = select(func.count()).select_from(JobExecution).where(*wanted)
            return session.execute(count).scalar_one()

    def recent_failures(self, tenant_id: str | None, limit: int = 50) -> list[ExecutionRow]:
        """The last attempts with which a job failed for good, newest first; None is all tenants."""
        wanted = all_columns().where(text(FAILED_JOB))
        if tenant_id is not None:
            wanted = wanted.where(JobExecution.tenant_id == tenant_id)
        return self._rows(
            wanted.order_by(JobExecution.finished_at.desc(), JobExecution.id.desc()).limit(limit)
        )

    def _rows(self, statement: Select[Any]) -> list[ExecutionRow]:
        with read_session(self._engine) as session:
            return [ExecutionRow(*row) for row in session.execute(statement)]


def all_columns() -> Select[Any]:
    """What an ExecutionRow is made of."""
    return select(*(getattr(JobExecution, column.name) for column in fields(ExecutionRow)))
