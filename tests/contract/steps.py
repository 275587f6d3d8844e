"""Words for the contract tests."""

import uuid
from collections.abc import Mapping, Sequence

from jobs.model import (
    Fetched,
    FetchedJob,
    FetchRequest,
    Job,
    LaneStats,
    NewJob,
    Outcome,
    QueueStats,
    Settled,
    Unique,
    UniqueMode,
    Verdict,
    WorkerInfo,
)
from jobs.rules import QueueRules
from jobs.states import JobState
from jobs.store import JobStore
from tests.contract.clock import Clock

QUEUE = "email-sync"
#: Longer than any test's time, so that no lease runs out unless it shall.
LONG_MS = 10**9


def a_job(job_id: str | None = None, *, queue: str = QUEUE, **changes: object) -> NewJob:
    fields = {"id": job_id or uuid.uuid4().hex, "queue": queue, "actor": "email_sync", "payload": b"{}"}
    return NewJob(**{**fields, **changes})  # type: ignore[arg-type]


def some_jobs(prefix: str, number: int, **changes: object) -> list[NewJob]:
    return [a_job(f"{prefix}{n:03}", **changes) for n in range(number)]  # type: ignore[arg-type]


def a_worker(owner: str, **changes: object) -> WorkerInfo:
    fields = {"owner": owner, "host": "host", "pid": 1, "version": "0.1.0", "threads": 8, "queues": (QUEUE,)}
    return WorkerInfo(**{**fields, "started_at": 0, **changes})  # type: ignore[arg-type]


def fetch(
    store: JobStore,
    owner: str = "worker-1",
    *,
    credits: int = 10,
    queues: Sequence[str] | Mapping[str, int] = (QUEUE,),
    each: int = 1_000,
    token: str | None = None,
    lease_ms: int = LONG_MS,
    ahead: int = 0,
    busy: bool = False,
) -> Fetched:
    rooms = queues if isinstance(queues, Mapping) else dict.fromkeys(queues, each)
    return store.fetch(FetchRequest(owner, token or uuid.uuid4().hex, credits, rooms, lease_ms, ahead, busy))


def take(store: JobStore, owner: str = "worker-1", **options: object) -> FetchedJob:
    """Fetch one job, which must be there."""
    (job,) = fetch(store, owner, **{"credits": 1, **options}).jobs  # type: ignore[arg-type]
    return job


def settle(
    store: JobStore,
    job: FetchedJob,
    outcome: Outcome = Outcome.COMPLETED,
    owner: str = "worker-1",
    **changes: object,
) -> Settled:
    verdict = Verdict(job.id, job.token, outcome, **changes)  # type: ignore[arg-type]
    return store.settle(owner, [verdict])[0]


def ids(fetched: Fetched) -> list[str]:
    return [job.id for job in fetched.jobs]


def run_order(store: JobStore, number: int = 1_000, **options: object) -> list[str]:
    """Run jobs one after the other in one thread, and say in which order."""
    order = list[str]()
    while len(order) < number and (jobs := fetch(store, **{"credits": 1, **options}).jobs):  # type: ignore[arg-type]
        order.append(jobs[0].id)
        settle(store, jobs[0])
    return order


def of(order: Sequence[str]) -> str:
    """The first letters of ids, which say whose jobs they are."""
    return "".join(job_id[0] for job_id in order)


def found(store: JobStore, job_id: str) -> Job:
    job = store.get(job_id)
    assert job is not None
    return job


def state_of(store: JobStore, job_id: str) -> JobState:
    return found(store, job_id).state


def count(store: JobStore, queue: str = QUEUE) -> QueueStats:
    (stats,) = store.stats([queue])
    return stats


def lane_of(store: JobStore, lane: str, queue: str = QUEUE) -> LaneStats:
    (stats,) = store.lanes(queue, [lane])
    return stats


def rules(store: JobStore, queue: str = QUEUE, **changes: object) -> None:
    store.configure({queue: QueueRules(**changes)}, {})  # type: ignore[arg-type]


def unique(mode: UniqueMode, ttl_ms: int = 0, key: str = "invoice-7") -> Unique:
    return Unique(key, mode, ttl_ms)


def lose(store: JobStore, clock: Clock, owner: str, *, max_lost: int = 3) -> int:
    """The owner's lease runs out while somebody else is there to notice. It must have been a short one."""
    clock.advance(8_000)
    store.register(a_worker("watching"), LONG_MS)
    clock.advance(8_000)
    return store.reclaim(max_lost)
