"""The things a store takes and gives. Times are milliseconds since 1970 on the store's own clock.

What is made for every job is a named tuple, which costs a third of a frozen data class.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from jobs.states import JobState

FIRST_PRIORITY, LAST_PRIORITY, DEFAULT_PRIORITY = 1, 10, 5
DEFAULT_ATTEMPTS = 3


class NewJob(NamedTuple):
    """A job on its way in. The id makes enqueue idempotent: the same id twice is one job."""

    id: str
    queue: str
    actor: str
    payload: bytes
    priority: int = DEFAULT_PRIORITY
    max_attempts: int = DEFAULT_ATTEMPTS
    lane: str = ""  # the tenant; jobs without one share a lane
    delay_ms: int = 0  # counted from the store's clock
    run_at_ms: int | None = None  # absolute; wins over delay_ms
    dead_letter: str = "dead-letter"  # where it goes when it fails for good


class Accepted(NamedTuple):
    """The answer to one enqueued job. `created` is False when the id was there already."""

    id: str
    created: bool


class FetchRequest(NamedTuple):
    """What one worker process could start now.

    `token` makes a repeated fetch return the same jobs: the reply of the first may have been lost.
    `queues` maps each queue to the jobs this process could still start of it, and to the cap over
    all workers (None: no cap).
    """

    owner: str
    token: str
    credits: int
    queues: Mapping[str, tuple[int, int | None]]
    lease_ms: int = 15_000


class FetchedJob(NamedTuple):
    """A job under lease. `token` fences its settlement: only this delivery may settle it."""

    id: str
    queue: str
    actor: str
    payload: bytes
    token: int
    attempt: int
    max_attempts: int
    priority: int
    lane: str
    lost_leases: int
    created_at: int
    ready_at: int
    started_at: int


class Fetched(NamedTuple):
    """`next_due` is when the earliest delayed job falls due; `more` names queues with jobs left over."""

    jobs: list[FetchedJob]
    now: int
    next_due: int | None = None
    more: tuple[str, ...] = ()


class Outcome(StrEnum):
    """What became of one delivery of a job."""

    COMPLETED = "completed"
    RETRY = "retry"  # failed; runs again after `delay_ms`
    FAILED = "failed"  # dead-lettered
    CANCELLED = "cancelled"
    RETURNED = "returned"  # handed back unstarted: the attempt is refunded
    INTERRUPTED = "interrupted"  # cut short by a stop: counted apart, the attempt is refunded
    LOST = "lost"  # written by the store itself when a lease ran out


class Verdict(NamedTuple):
    """How one delivery ended. `record` is kept with the job, `detail` goes into its event."""

    id: str
    token: int
    outcome: Outcome
    delay_ms: int = 0
    record: bytes | None = None  # JSON: {"result": …} or {"error": {…}}
    detail: bytes = b""  # JSON, for the readers of the event stream
    progress: bytes | None = None
    dead_letter: str = ""  # name of the dead-letter queue, for FAILED; empty: the job's own
    keep: int | None = None  # completed jobs to keep in this queue; None keeps all until their age
    remove: bool = False  # a completed job leaves at once


class Settled(StrEnum):
    """The store's answer to one verdict."""

    STORED = "stored"
    REPEATED = "repeated"  # this delivery was settled before; nothing changed
    REFUSED = "refused"  # the lease was lost; nothing changed


@dataclass(frozen=True, slots=True)
class Job:
    """One job as an inspector sees it."""

    id: str
    queue: str
    actor: str
    lane: str
    state: JobState
    priority: int
    attempts: int
    max_attempts: int
    deliveries: int
    lost_leases: int
    interruptions: int
    created_at: int
    due_at: int | None
    ready_at: int | None
    started_at: int | None
    finished_at: int | None
    owner: str | None
    dead_letter: str | None
    payload: bytes
    record: bytes | None
    progress: bytes | None


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Counts of one queue, exact at rest (CATALOGUE section 1, Metrics)."""

    queue: str
    waiting: int = 0
    active: int = 0
    delayed: int = 0
    blocked: int = 0
    resting: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    dead_letters: int = 0  # jobs of any queue that were routed to this dead-letter queue
    completed_total: int = 0
    failed_total: int = 0
    retries: int = 0
    oldest_waiting_ms: int | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """One worker process in the registry."""

    owner: str
    host: str
    pid: int
    version: str
    threads: int
    queues: tuple[str, ...]
    started_at: int
    lease_until: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Retention:
    """Ages, in milliseconds, after which settled jobs of one queue leave the store."""

    completed_ms: int = 24 * 3_600_000
    failed_ms: int = 7 * 24 * 3_600_000


class Event(NamedTuple):
    """One entry of the event stream: a delivery that ended. Readers get it at least once."""

    id: str  # position in the stream
    job_id: str
    queue: str
    actor: str
    lane: str
    outcome: Outcome
    state: JobState
    attempt: int
    token: int
    owner: str
    created_at: int
    ready_at: int
    started_at: int
    finished_at: int
    detail: bytes = b""


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events for one reader, and how far behind it is (entries not yet acknowledged)."""

    events: list[Event] = field(default_factory=list)
    lag: int = 0
