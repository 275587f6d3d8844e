"""Which index serves what the audit is asked: none of these questions reads all rows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from database.audit import AuditReader, AuditWriter
from database.audit_figures import AuditFigures, Wanted
from database.upkeep import analyze
from tests.database.events import START, a_failure, an_event

AT = datetime.fromtimestamp(START / 1000, UTC)
HOUR = Wanted(AT - timedelta(minutes=30), AT + timedelta(minutes=30))
TENANT = HOUR._replace(tenant_id="tenant-1")
REPORTS = HOUR._replace(queue="reports")

FAILURES = "ix_job_executions_failures"
TENANTS = "ix_job_executions_tenant_id_finished_at"
TIMES = "ix_job_executions_finished_at_queue"
JOBS = "job_executions_job_id_attempt_token_created_at"
SQLITE_NAMES = {JOBS: "sqlite_autoindex_job_executions_1"}

Question = Callable[[Engine], object]


@pytest.fixture
def filled(engine: Engine) -> Engine:
    """Ten days of attempts, one in a hundred of them failed, of 20 tenants and none, in 20 queues."""
    step = 864_000_000 // 4_000
    AuditWriter(engine).write(
        [
            (a_failure if number % 100 == 0 else an_event)(
                job_id=f"job-{number}",
                lane=f"tenant-{number % 20}" if number % 2 else "",
                queue="reports" if number % 20 == 0 else f"queue-{number % 20}",
                finished_at=START + (number - 2_000) * step,
            )
            for number in range(4_000)
        ]
    )
    analyze(engine)
    return engine


@pytest.mark.parametrize(
    ("question", "index"),
    [
        pytest.param(lambda engine: AuditReader(engine).attempts("job-7"), JOBS, id="a job's attempts"),
        pytest.param(lambda engine: AuditReader(engine).recent_failures(None), FAILURES, id="last failures"),
        pytest.param(lambda engine: AuditFigures(engine).failures(HOUR, 50), FAILURES, id="failures"),
        pytest.param(lambda engine: AuditFigures(engine).errors(HOUR), FAILURES, id="errors"),
        pytest.param(lambda engine: AuditFigures(engine).by_queue(HOUR), TIMES, id="statistics"),
        pytest.param(lambda engine: AuditFigures(engine).by_queue(REPORTS), TIMES, id="one queue"),
        pytest.param(lambda engine: AuditFigures(engine).by_queue(TENANT), TENANTS, id="one tenant"),
        pytest.param(lambda engine: AuditFigures(engine).slow(HOUR, 60_000, 50), TIMES, id="slow"),
        pytest.param(lambda engine: AuditFigures(engine).slow(TENANT, 60_000, 50), TENANTS, id="its slow"),
        pytest.param(lambda engine: AuditFigures(engine).workers(HOUR), TIMES, id="workers"),
        pytest.param(lambda engine: AuditFigures(engine).run_percentiles(HOUR), TIMES, id="runs"),
        pytest.param(lambda engine: AuditFigures(engine).wait_percentiles(TENANT), TENANTS, id="its waits"),
        pytest.param(lambda engine: AuditFigures(engine).costs(HOUR), TIMES, id="costs"),
    ],
)
def test_every_question_has_an_index(filled: Engine, question: Question, index: str) -> None:
    name = SQLITE_NAMES.get(index, index) if filled.dialect.name == "sqlite" else index
    with plans_of(filled) as plans:
        question(filled)
    assert plans
    for plan in plans:
        assert name in plan


@contextmanager
def plans_of(engine: Engine) -> Iterator[list[str]]:
    """How the database answers each query over attempts that is sent meanwhile, but those by row id."""
    plans: list[str] = []

    def explain(
        connection: Connection, cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
    ) -> None:
        if "FROM job_executions" not in statement or "job_executions.id IN" in statement:
            return
        explaining = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
        cursor.execute(f"{explaining} {statement}", parameters)
        plans.append("\n".join(str(row[-1]) for row in cursor.fetchall()))

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(engine, "before_cursor_execute", explain)
