"""What the service answers, in the documents' own shapes and camelCase names (S0, Data Models)."""

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from jobs.states import JobState


class View(BaseModel):
    """A frozen answer; in JSON its names are camelCase and times are ISO 8601 in UTC."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    def to_json(self) -> dict[str, Any]:
        """The answer as plain JSON values."""
        return self.model_dump(mode="json", by_alias=True)


class BackoffView(View):
    type: str
    delay: int = Field(description="milliseconds before the second attempt")


class JobOptionsView(View):
    """The options as they hold for this job."""

    priority: int = Field(description="1 (first) to 10")
    delay: int = Field(description="milliseconds between acceptance and the first possible start")
    attempts: int = Field(description="executions at most")
    backoff: BackoffView | None
    timeout: int | None = Field(description="milliseconds one attempt may take")
    remove_on_complete: bool | int
    remove_on_fail: bool | int


class MilestoneView(View):
    percent: float
    at: datetime | None


class ProgressView(View):
    """How far a job is. `percent` is 0 to 100."""

    id: str
    state: JobState
    percent: float = 0
    message: str | None = None
    done: float | None = None
    total: float | None = None
    milestones: list[MilestoneView] = []


class LogLineView(View):
    at: datetime | None = Field(description="by the clock of the worker")
    level: str
    message: str
    values: dict[str, Any] = {}


class AttemptLogView(View):
    """What one attempt logged; `dropped` older lines were too many to be kept."""

    attempt: int
    dropped: int
    lines: list[LogLineView]


class StepView(View):
    """What a job keeps of one of its steps or effects. Of a private job no value is shown."""

    name: str
    kind: Literal["step", "effect"] | None = Field(description="null: it cannot be read here, see `note`")
    finished: bool | None = Field(description="false: an effect of which only the intent is known")
    size: int = Field(description="bytes in the store")
    outcome: Any = Field(None, description='what a later run gets; "[private]" where the job is private')
    intent: Any = Field(None, description="of an effect that is not finished: what it is probed with")
    note: str | None = None


class StepsView(View):
    """In the order in which they were stored first."""

    id: str
    state: JobState
    steps: list[StepView]


class JobView(View):
    """A job with its state and times."""

    id: str
    queue: str
    name: str = Field(description="the actor")
    state: JobState
    data: dict[str, Any] | None = Field(description="the arguments; null when this host cannot read them")
    opts: JobOptionsView
    progress: float = Field(description="0 to 100")
    attempts_made: int
    created_at: datetime
    processed_on: datetime | None = Field(description="start of the latest attempt")
    finished_on: datetime | None
    due_at: datetime | None = Field(description="when a delayed job may start")
    failed_reason: str | None
    stacktrace: list[str]
    returnvalue: Any
    wait_ms: int | None = Field(description="from ready to the start of the latest attempt")
    run_ms: int | None = Field(description="length of the latest attempt, once finished")
    worker: str | None = Field(description="the process that holds the job now")
    dead_letter: str | None = Field(description="the dead-letter queue that holds the failed job")
    tenant_id: str | None
    notes: dict[str, str] = Field({}, description="of `data` and `returnvalue`: why there is none to show")


class QueueMetrics(View):
    """Counts of one queue. `total` is what is still to be done."""

    # S0 QueueMetrics and CATALOGUE section 1, Metrics.

    queue: str
    waiting: int
    active: int
    delayed: int
    blocked: int
    resting: int = Field(description="those of `waiting` that a limit or a pause holds back")
    total: int = Field(description="waiting + active + delayed + blocked")
    completed: int = Field(description="kept now")
    failed: int = Field(description="kept now")
    cancelled: int = Field(description="kept now")
    dead_letters: int = Field(description="failed jobs of any queue routed to this one")
    completed_total: int = Field(description="ever")
    failed_total: int = Field(description="ever")
    retries: int
    oldest_waiting_ms: int | None
    paused: bool
    completed_per_minute: float = Field(description="over the last minute or two")
    failed_per_minute: float = Field(description="over the last minute or two")
    worker_count: int
    available: int = Field(description="jobs that workers could start now")


class QueueHealth(View):
    """One queue's condition, with a sentence for each reason that it is not well."""

    name: str
    status: Literal["ok", "degraded"]
    reasons: list[str]
    waiting: int
    active: int
    delayed: int
    resting: int
    failed: int
    paused: bool
    worker_count: int


class WorkerView(View):
    """One worker process in the registry. A worker whose heartbeat stopped is no longer listed."""

    owner: str = Field(description="its name in leases, unique for each start of a process")
    name: str
    host: str
    pid: int
    version: str
    threads: int
    queues: list[str]
    running: int = Field(description="jobs it ran at its last heartbeat")
    memory_bytes: int
    started_at: datetime
    seen_at: datetime | None = Field(description="its last heartbeat")
    lease_until: datetime


class WorkerDetail(WorkerView):
    """A worker process with what it holds now."""

    actors: list[str] = Field(description="the actors it knows")
    jobs: list[str] = Field(description="ids of the jobs under its lease")


class StoreHealth(View):
    connected: bool
    latency_ms: float | None = None
    message: str | None = None


class QueuesHealth(View):
    """Connectivity of the store, heartbeat of the workers, and each queue."""

    status: Literal["ok", "degraded", "down"]
    store: StoreHealth
    workers: list[WorkerView]
    queues: list[QueueHealth]


def moment(at_ms: int | None) -> datetime | None:
    """A store's time as a UTC date."""
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC)
