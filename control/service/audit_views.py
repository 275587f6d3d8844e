"""What the audit answers. Names are camelCase in JSON; spans are milliseconds, shares 0 to 1."""

from datetime import datetime
from typing import Any

from pydantic import Field

from control.service.views import View


class RangeView(View):
    """What an answer is about."""

    since: datetime
    until: datetime = Field(description="not included")
    tenant_id: str | None = Field(description='null: all tenants; "": jobs without one')


class AttemptFigures(View):
    """What attempts came to."""

    queue: str | None = Field(description="null: the sum over all")
    attempts: int
    jobs: int = Field(description="different jobs among them")
    completed: int
    failed: int = Field(description="for good")
    retried: int
    cancelled: int
    lost: int = Field(description="the worker died or was cut off")
    mean_wait_ms: float | None
    mean_run_ms: float | None
    longest_run_ms: int | None


class CostView(View):
    unit: str
    amount: float


class StatisticsView(RangeView):
    """S3 getJobStatistics."""

    total: AttemptFigures
    queues: list[AttemptFigures]
    success_rate: float | None = Field(description="completed, of those completed or failed for good")
    costs: list[CostView] = Field(description="what the actors reported, by unit")


class FailureView(View):
    """One attempt that failed or was slow. Messages are redacted; stacks have no values."""

    job_id: str
    queue: str
    actor: str
    tenant_id: str | None
    user_id: str | None
    attempt: int
    outcome: str
    state: str
    worker: str | None
    started_at: datetime | None
    finished_at: datetime
    wait_ms: int | None
    run_ms: int | None
    error_type: str | None
    error_code: str | None
    error_message: str | None
    stack: str | None
    fingerprint: str | None
    reason: str | None
    trace_id: str | None


class ErrorView(View):
    """Attempts that failed for one cause; the message is that of the last one."""

    fingerprint: str | None
    error_type: str | None
    error_code: str | None
    attempts: int
    final: int = Field(description="those with which the job failed for good")
    jobs: int
    tenants: int
    first_at: datetime
    last_at: datetime
    last_job_id: str
    last_message: str | None


class ErrorAnalysis(RangeView):
    """S3 getErrorAnalysis: the causes, the most frequent first."""

    errors: list[ErrorView]


class WorkerFiguresView(View):
    """What one worker process did."""

    worker: str
    name: str | None
    attempts: int
    completed: int
    failed: int
    busy_ms: int
    mean_run_ms: float | None
    first_at: datetime
    last_at: datetime


class SpanView(View):
    """Spans that half, 95 % and 99 % of the attempts did not exceed."""

    p50: int
    p95: int
    p99: int


class QueuePerformance(View):
    """One queue, against the service levels that hold for it."""

    # They are those of CATALOGUE section 3.

    queue: str
    attempts_per_minute: float
    mean_wait_ms: float | None
    wait_ms: SpanView | None
    mean_run_ms: float | None
    run_ms: SpanView | None
    first_try_rate: float | None = Field(description="of the jobs that ended, those done by one attempt")
    recovered_rate: float | None = Field(description="of those that needed more, the ones that completed")
    failed_rate: float | None = Field(description="of the jobs that ended, those that failed for good")


class PerformanceView(RangeView):
    """S3 getPerformanceMetrics."""

    queues: list[QueuePerformance]


class Cleaned(View):
    """What one clean-up removed."""

    executions: int
    actions: int
    more: bool = Field(description="the limit was reached; the same call again goes on")


class ActionView(View):
    """What an operator did."""

    number: int
    began_at: datetime
    ended_at: datetime | None = Field(description="null: whoever did it was cut off, or does it still")
    operator: str
    action: str
    target: str | None
    tenant_id: str | None
    parameters: dict[str, Any]
    reason: str | None
    failed: bool
    count: int | None
    result: str | None


class VerificationView(View):
    """One chain of the audit."""

    chain: str
    broken: str | None = Field(description="the first place where it does not hold")
    links: int
    rows: int
    before: int = Field(description="rows older than the chain, which does not cover them")
    keyed: bool
    head: str = Field(description="note it elsewhere: `callboard audit verify --noted` looks for it")


class LagView(View):
    """How far the rows of the audit are behind."""

    entries: int = Field(description="of the event stream that are not stored yet; each has up to dozens")
    oldest_ms: int = Field(description="for how long the oldest of them has waited")
