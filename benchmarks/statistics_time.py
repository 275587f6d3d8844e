"""How long it takes to count the jobs of 40 queues: 1,000,000 in all states, of 25 tenants in each queue."""

import time
from collections.abc import Iterator

from benchmarks.measurement import Measurement, Reading, Round, Target, percentile
from benchmarks.sides import TEXT, Ours, Side, only_ours
from broker.sent import new_id
from jobs.model import FetchRequest, NewJob, Outcome, Scope, Verdict, WorkerInfo
from jobs.states import JobState
from jobs.store import JobStore

QUEUES, TENANTS = 40, 25
JOBS = 1_000_000
CALLS = 50
BATCH = 500
#: Of each batch of 500: jobs for tomorrow. Then of all: jobs that were run, and of each queue cancelled ones.
DELAYED, SETTLED, CANCELLED = 30, 0.03, 100
DAY_MS = 24 * 3_600_000
OWNER = "bench:1:statistics"


def measure(side: Side, turn: Round) -> Reading:
    """The 95th percentile of calls from the store's client, in milliseconds."""
    ours = only_ours(side)
    store = ours.app.store
    queues = [f"statistics-{number:02}" for number in range(QUEUES)]
    ours.clear()
    for batch in _jobs(ours, queues, turn.scaled(JOBS, QUEUES * BATCH)):
        store.enqueue(batch)
    _move(store, queues, turn.scaled(round(JOBS * SETTLED), BATCH))
    times = []
    for _ in range(CALLS):
        began = time.perf_counter()
        counts = store.stats(queues)
        times.append((time.perf_counter() - began) * 1e3)
    waiting = sum(count.waiting for count in counts)
    ours.clear()
    return Reading(percentile(times, 95), {"median": percentile(times, 50), "waiting": waiting})


def _jobs(ours: Ours, queues: list[str], jobs: int) -> Iterator[list[NewJob]]:
    """Batches of one queue each, in turn. Past the middleware, which has no part in what is measured here."""
    payload = ours.app.broker.codec.encode(ours.noop.message(0, TEXT))
    for batch in range(jobs // BATCH):
        queue = queues[batch % len(queues)]
        yield [
            NewJob(
                new_id(),
                queue,
                ours.noop.actor_name,
                payload,
                lane=f"tenant-{number % TENANTS}",
                delay_ms=DAY_MS if number < DELAYED else 0,
            )
            for number in range(BATCH)
        ]


def _move(store: JobStore, queues: list[str], settled: int) -> None:
    """Bring some of the jobs into the other states; the last batch stays active, one tenant of each queue
    rests."""
    store.register(WorkerInfo(OWNER, "bench", 1, "", BATCH, tuple(queues), 0), DAY_MS)
    done = 0
    while True:
        fetched = store.fetch(FetchRequest(OWNER, new_id(), BATCH, dict.fromkeys(queues, BATCH), DAY_MS))
        done += len(fetched.jobs)
        if done > settled or not fetched.jobs:
            break
        store.settle(
            OWNER,
            [
                Verdict(job.id, job.token, Outcome.COMPLETED if number % 3 else Outcome.FAILED)
                for number, job in enumerate(fetched.jobs)
            ],
        )
    for queue in queues:
        store.cancel([job.id for job in store.list_jobs(queue, JobState.WAITING, limit=CANCELLED)])
        store.rest(Scope(queue, "tenant-7"), DAY_MS, "")


STATISTICS = Measurement(
    "statistics_ms",
    "ms",
    False,
    Target(under=10),
    measure,
    without_stock="stock keeps no statistics",
    rounds=1,
)
