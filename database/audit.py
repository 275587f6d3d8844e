"""The audit of attempts: written from the event stream, read by operators.

`AuditWriter` is an EventSink: the same events may come again (a reader died before it acknowledged
them), and the rows stay single.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Engine, Select, func, select

from database.engine import read_session, write_session
from database.execution_rows import COLUMNS, Row, now, row_of
from database.models import JobExecution
from jobs.model import Event, Outcome
from jobs.states import JobState

BATCH = 500  # rows in one statement

_NAMES = ", ".join(COLUMNS)
_TIMES = ("created_at", "ready_at", "started_at", "finished_at", "recorded_at")
_NUMBERS = ("attempt", "token", "wait_ms", "run_ms")


class AuditWriter:
    """Writes a row for each attempt that ended."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._write = _as_json if engine.dialect.name == "postgresql" else _as_tuples

    def write(self, events: Sequence[Event]) -> None:
        """Store the events in one transaction; those that are there already are passed over.

        A job handed back unstarted made no attempt, so RETURNED gives no row. A detail that cannot be
        read gives a row with the error code `unreadable_detail`. Raises DatabaseUnavailable; then
        nothing was stored and the same events are to be written again.
        """
        recorded_at = now()
        rows = [row_of(event, recorded_at) for event in events if event.outcome is not Outcome.RETURNED]
        if not rows:
            return
        # Two writers with the same events take row locks in one order, so they cannot deadlock.
        rows.sort(key=_identity)
        with write_session(self._engine) as session:
            connection = session.connection()
            for start in range(0, len(rows), BATCH):
                statement, parameters = self._write(rows[start : start + BATCH])
                connection.exec_driver_sql(statement, parameters)


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


class AuditReader:
    """Reads the audit. Times given to it must have a zone. All raise DatabaseUnavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def attempts(self, job_id: str) -> list[ExecutionRow]:
        """Every attempt of one job, in the order in which they ran."""
        return self._rows(
            _all_columns()
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
        wanted = _all_columns().where(JobExecution.state == JobState.FAILED.value)
        if tenant_id is not None:
            wanted = wanted.where(JobExecution.tenant_id == tenant_id)
        return self._rows(
            wanted.order_by(JobExecution.finished_at.desc(), JobExecution.id.desc()).limit(limit)
        )

    def _rows(self, statement: Select[Any]) -> list[ExecutionRow]:
        with read_session(self._engine) as session:
            return [ExecutionRow(*row) for row in session.execute(statement)]


def _all_columns() -> Select[Any]:
    return select(*(getattr(JobExecution, column.name) for column in fields(ExecutionRow)))


def _identity(row: Row) -> tuple[str | int | None, ...]:
    return row[:3]


def _as_tuples(rows: list[Row]) -> tuple[str, Any]:
    """SQLite: one prepared statement, a tuple a row."""
    return _INSERT_TUPLES, rows


def _as_json(rows: list[Row]) -> tuple[str, Any]:
    """PostgreSQL: all rows as one JSON parameter, unpacked by the server. What is missing reads as NULL."""
    named = [
        {name: value for name, value in zip(COLUMNS, row, strict=True) if value is not None} for row in rows
    ]
    return _INSERT_JSON, (orjson.dumps(named).decode(),)


def _json_type(column: str) -> str:
    return "timestamp" if column in _TIMES else "bigint" if column in _NUMBERS else "text"


_INSERT_TUPLES = (
    f"INSERT INTO job_executions ({_NAMES}) VALUES ({', '.join('?' * len(COLUMNS))}) "  # noqa: S608
    "ON CONFLICT DO NOTHING"
)
_INSERT_JSON = (
    f"INSERT INTO job_executions ({_NAMES}) "  # noqa: S608
    f"SELECT {', '.join(f'{name} AT TIME ZONE $$UTC$$' if name in _TIMES else name for name in COLUMNS)} "
    "FROM json_to_recordset(%s::json) "
    f"AS event({', '.join(f'{name} {_json_type(name)}' for name in COLUMNS)}) "
    "ON CONFLICT DO NOTHING"
)
