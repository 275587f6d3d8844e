"""The audit of attempts: one row for each delivery of a job that ended."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Double, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from database.models.base import Base, RowId

#: A job that failed for good, and an attempt that failed. Queries say it in these words, not with parameters,
#: so that the index of failures serves them even in a plan that the server keeps for any values.
FAILED_JOB = "state = 'failed'"
FAILED_ATTEMPT = "outcome IN ('retry', 'failed', 'lost')"


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


class JobExecution(Base):
    """One attempt. The input is there only sealed and as a keyed digest, the stack without values.

    Rows are never changed: `audit_batches` holds a digest of each.
    """

    __tablename__ = "job_executions"
    __table_args__ = (
        # An event may arrive twice. `created_at` lets an id be used anew once the job store forgot it; a job
        # that was cancelled between two runs has a row with attempt 0 and the token of the last one.
        UniqueConstraint("job_id", "attempt", "token", "created_at"),
        # Every row pays for each index that it is in, so they are few. By this one the rows of one queue are
        # told from those of others before they are read, and jobs without a tenant are found.
        Index(None, "finished_at", "queue"),
        Index(None, "tenant_id", "finished_at", **_where("tenant_id IS NOT NULL")),
        # Failures are few among many: else they would be looked for in all rows of 90 days.
        Index("ix_job_executions_failures", "finished_at", **_where(f"{FAILED_JOB} OR {FAILED_ATTEMPT}")),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    job_id: Mapped[str] = mapped_column(Text)
    attempt: Mapped[int] = mapped_column(BigInteger)
    token: Mapped[int] = mapped_column(BigInteger)
    queue: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    tenant_id: Mapped[str | None] = mapped_column(Text)
    user_id: Mapped[str | None] = mapped_column(Text)
    outcome: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    worker: Mapped[str | None] = mapped_column(Text)
    worker_name: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    ready_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime]
    wait_ms: Mapped[int | None] = mapped_column(BigInteger)
    run_ms: Mapped[int | None] = mapped_column(BigInteger)
    error_type: Mapped[str | None] = mapped_column(Text)
    error_code: Mapped[str | None] = mapped_column(Text)
    error_message: Mapped[str | None] = mapped_column(Text)
    stack: Mapped[str | None] = mapped_column(Text)
    fingerprint: Mapped[str | None] = mapped_column(Text)
    input_digest: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    recorded_at: Mapped[datetime]
    inputs: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed; NULL where nothing seals
    trace_id: Mapped[str | None] = mapped_column(Text)
    cost: Mapped[float | None] = mapped_column(Double)
    cost_unit: Mapped[str | None] = mapped_column(Text)
