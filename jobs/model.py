"""The things a store takes and gives. Times are milliseconds since 1970 on the store's own clock.

What is made for every job is a named tuple, which costs a third of a frozen data class.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from jobs.states import JobState

FIRST_PRIORITY, LAST_PRIORITY, DEFAULT_PRIORITY = 1, 10, 5
DEFAULT_ATTEMPTS = 3
#: Later than any time of the store: a rest without a known end.
LAST_TIME = 9_999_999_999_999
#: Of a job's log: bytes of one attempt, and how many attempts, the latest ones.
LOG_BYTES, LOG_ATTEMPTS = 65_536, 5
#: In a job's options a number from here on is a moment in ms since 1970 (2001), a smaller one a span.
FIRST_MOMENT_MS = 10**12
#: How long an id that has left the store is still known: for ids that were made up, and for given ones.
MARKER_MS, GIVEN_ID_MARKER_MS = 120_000, 7 * 24 * 3_600_000


class UniqueMode(StrEnum):
    """What a second job with the same key does (Oban, Sidekiq and BullMQ know most of these)."""

    UNTIL_STARTED = "until_started"  # is not added while the first waits
    UNTIL_FINISHED = "until_finished"  # is not added while the first waits, runs or will be retried
    THROTTLE = "throttle"  # is not added for `ttl_ms` after the first, whatever became of it
    DEBOUNCE = "debounce"  # takes the place of the one that has not started
    LATEST = "latest"  # as debounce, and never runs beside one that is active


class Unique(NamedTuple):
    """`key` is within tenant and actor. `ttl_ms` ends it in any case; 0: no end."""

    key: str
    mode: UniqueMode
    ttl_ms: int = 0


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
    gate: str = ""  # a resource of the tenant: its jobs can rest, and be capped, apart from the others
    unique: Unique | None = None
    marker_ms: int = MARKER_MS  # how long the id is known after the job has left the store


class Accepted(NamedTuple):
    """The answer to one enqueued job: `id` is the job there now. `created` is False when it was there
    before, by its id or its unique key. `replaced` is the job whose place it took."""

    id: str
    created: bool
    replaced: str | None = None


class FetchRequest(NamedTuple):
    """What one worker process could start now.

    `token` makes a repeated fetch return the same jobs: the reply of the first may have been lost.
    `queues` maps each queue to the jobs this process could still start of it; one with 0 is asked for its
    suspects alone. `credits` is free threads; `ahead` is how many short jobs it would take beyond, which it
    gets only while no process is idle.
    `busy` says that it holds jobs already, so that a suspect is not run beside them.
    """

    owner: str
    token: str
    credits: int
    queues: Mapping[str, int]
    lease_ms: int = 15_000
    ahead: int = 0
    busy: bool = False


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
    settled: int = 0  # the token of the last delivery that was settled: what a lost lease leaves as it is
    begun: bool = False  # it was held or cut short while it ran: it has begun, though no attempt was spent


class Fetched(NamedTuple):
    """`next_due` is when the next delayed or resting job may run; `more` names queues with jobs left over
    that may run now. `suspect`: a suspect waits and it is this process's turn to become empty for it.
    `watch`: a queue to wake another process for, because this one was to look at `next_due` and is full."""

    jobs: list[FetchedJob]
    now: int
    next_due: int | None = None
    more: tuple[str, ...] = ()
    suspect: bool = False
    watch: str | None = None

    def with_woken(self, request: "FetchRequest", woken: Collection[str]) -> "Fetched":
        """As told after a settlement that woke something in these queues: `more` names them too, but for
        those that the fetch has asked itself."""
        asked = request.credits > 0 or request.ahead > 0
        left = [queue for queue in woken if not (asked and request.queues.get(queue, 0) > 0)]
        return self._replace(more=tuple(dict.fromkeys((*self.more, *left)))) if left else self


class Outcome(StrEnum):
    """What became of one delivery of a job."""

    COMPLETED = "completed"
    RETRY = "retry"  # failed; runs again after `delay_ms`
    FAILED = "failed"  # dead-lettered
    CANCELLED = "cancelled"
    RETURNED = "returned"  # handed back unstarted: the attempt is refunded
    INTERRUPTED = "interrupted"  # cut short by a stop: counted apart, the attempt is refunded
    HELD = "held"  # may not run now: back in its place, attempt and cost refunded; a scope rests
    LOST = "lost"  # written by the store itself when a lease ran out


class RestScope(StrEnum):
    """What a held job makes rest."""

    JOB = "job"
    LANE = "lane"  # its tenant in this queue, or its gate when it has one
    QUEUE = "queue"


#: Results that are kept for later jobs, of one shard: how many, and their bytes.
MOST_CACHED, CACHED_BYTES = 10_000, 64 * 1024 * 1024


class CacheEntry(NamedTuple):
    """A result that answers for later jobs of the same key. `value` is what is found again."""

    key: str
    value: bytes
    ttl_ms: int


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
    rests: RestScope = RestScope.JOB  # what rests for `delay_ms`, for HELD
    reason: str = ""  # why it rests or was cancelled, for a person
    result_ms: int = 0  # how long a completed job's record is kept; 0: as long as the job
    cache: CacheEntry | None = None  # of a completed job, kept in its shard with the verdict
    follow: tuple[NewJob, ...] = ()  # jobs of the same shard, accepted with the verdict or not at all
    unspent: bool = (
        False  # it failed or was held before it started: a failure's attempt and place under rates come back
    )


class LogChunk(NamedTuple):
    """Lines that one delivery of a job logged. `number` counts its chunks from 0: one is added once."""

    job_id: str
    token: int
    attempt: int
    number: int
    line_count: int
    lines: bytes


class AttemptLog(NamedTuple):
    """The chunks of one attempt's log that are still there, and how many older lines are not."""

    token: int
    attempt: int
    dropped: int
    chunks: tuple[bytes, ...]


class Scope(NamedTuple):
    """A queue, one tenant's lane in it, or one gate of that tenant."""

    queue: str
    lane: str | None = None
    gate: str = ""


class Cancelled(StrEnum):
    """What became of a wish to cancel."""

    DONE = "done"  # it had not started, and will not
    SIGNALLED = "signalled"  # it runs; its worker has been told
    LATE = "late"  # it was settled before
    UNKNOWN = "unknown"  # no such job


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
    gate: str
    cancel_requested: bool
    held_until: int | None  # it rests by itself until then
    held_reason: str
    payload: bytes
    record: bytes | None
    progress: bytes | None
    cancel_reason: str = ""  # why somebody wanted it cancelled while it ran


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
    completed_per_minute: float = 0.0  # over the minute before this one and what has passed of this one
    failed_per_minute: float = 0.0


@dataclass(frozen=True, slots=True)
class LaneStats:
    """Counts of one tenant's lane in one queue, all its gates together, exact at rest."""

    queue: str
    lane: str
    waiting: int = 0
    resting: int = 0
    active: int = 0
    delayed: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    weight: float = 1.0
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """Why a job waits. Counts are of now; what does not hold it back is None, False or empty."""

    job: Job
    queue_paused: bool = False
    lane_paused: bool = False
    rests_until: int | None = None  # of the nearest scope that rests; LAST_TIME: until a place is free
    #: job, gate, lane, queue; rate: its own, its queue's or its tenant's is used up; place: a free one is
    #: kept for a suspect.
    rest_scope: str = ""
    rest_reason: str = ""
    queue_cap: tuple[int, int] | None = None  # active, allowed at once
    share_cap: tuple[int, int] | None = None
    lane_cap: tuple[int, int] | None = None
    gate_cap: tuple[int, int] | None = None
    before_in_lane: int = 0  # jobs of its own lane and band that go first
    waiting_in_queue: int = 0
    suspect: bool = False  # it lost a lease, so it waits for a process that runs nothing else


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
    actors: tuple[str, ...] = ()
    running: int = 0
    memory_bytes: int = 0
    seen_at: int = 0  # the store's clock at the last heartbeat
    readers: tuple[str, ...] | None = None  # of the event stream; None: a release that does not say


@dataclass(frozen=True, slots=True)
class Retention:
    """Ages in milliseconds, and counts, past which settled jobs of one queue leave the store."""

    completed_ms: int = 24 * 3_600_000
    failed_ms: int = 7 * 24 * 3_600_000
    failed_count: int | None = None


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
