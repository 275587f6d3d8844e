"""The verbs of the in-memory store, under one lock.

The clock is handed in, so that a test moves time instead of waiting for it.
"""

import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from jobs.memory.forms import as_fetched, new_job
from jobs.memory.shelf import Record, Shelf
from jobs.memory.stream import Stream
from jobs.model import (
    Accepted,
    EventBatch,
    Fetched,
    FetchedJob,
    FetchRequest,
    Job,
    NewJob,
    Outcome,
    QueueStats,
    Retention,
    Settled,
    Verdict,
    WorkerInfo,
)
from jobs.states import JobState
from jobs.store import JobStore

INTERRUPTED_NOT_BEFORE_MS = 2_000
MAX_INTERRUPTIONS = 10
MARKER_MS = 120_000
LEASE_LOST = b'{"error":{"type":"LeaseLost","message":"the worker died while it ran this job"}}'


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class MemoryStore(JobStore):
    """Keeps everything in this process. `clock` returns milliseconds since 1970."""

    def __init__(self, clock: Callable[[], int] = wall_clock_ms) -> None:
        self._clock = clock
        self._changed = threading.Condition(threading.RLock())
        self._shelf = Shelf()
        self._stream = Stream()
        self._workers: dict[str, WorkerInfo] = {}
        self._leases: dict[str, int] = {}
        self._requests: dict[str, tuple[str, list[str]]] = {}
        self._markers: OrderedDict[str, int] = OrderedDict()
        self._totals: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))

    # Producers

    def enqueue(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        with self._changed:
            accepted = [self._enqueue_one(job) for job in jobs]
            self._changed.notify_all()
            return accepted

    def _enqueue_one(self, new: NewJob) -> Accepted:
        now = self._clock()
        if self._shelf.get(new.id) or self._markers.get(new.id, 0) > now:
            return Accepted(new.id, created=False)
        due = new.run_at_ms if new.run_at_ms is not None else now + new.delay_ms
        self._shelf.add(new_job(new, now, due), new.dead_letter)
        return Accepted(new.id, created=True)

    # Workers

    def fetch(self, request: FetchRequest) -> Fetched:
        with self._changed:
            now, shelf = self._clock(), self._shelf
            for record in shelf.fall_due(now):
                shelf.move(record, JobState.WAITING, new_place=True, due_at=None, ready_at=record.job.due_at)
            self._leases[request.owner] = now + request.lease_ms
            token, ids = self._requests.get(request.owner, ("", []))
            if token == request.token:
                held = [found.job for job_id in ids if (found := shelf.get(job_id))]
                again = [as_fetched(job) for job in held if job.owner == request.owner]
                return Fetched(again, now, shelf.next_due())
            jobs = self._take(request, now)
            self._requests[request.owner] = (request.token, [job.id for job in jobs])
            more = tuple(queue for queue, share in request.queues.items() if self._more(queue, share[1]))
            return Fetched(jobs, now, shelf.next_due(), more)

    def _take(self, request: FetchRequest, now: int) -> list[FetchedJob]:
        taken: list[FetchedJob] = []
        shelf = self._shelf
        for queue in list(shelf.turns):
            share, cap = request.queues.get(queue, (0, None))
            if cap is not None:
                share = min(share, cap - shelf.count(queue, JobState.ACTIVE))
            share = min(share, request.credits - len(taken), shelf.count(queue, JobState.WAITING))
            for _ in range(share):
                record = shelf.first_waiting(queue)
                shelf.move(
                    record,
                    JobState.ACTIVE,
                    attempts=record.job.attempts + 1,
                    deliveries=record.job.deliveries + 1,
                    owner=request.owner,
                    started_at=now,
                )
                taken.append(as_fetched(record.job))
            if share > 0:
                shelf.served(queue)
        return taken

    def _more(self, queue: str, cap: int | None) -> bool:
        """Whether jobs are left over that a cap over all workers does not hold back."""
        held_back = cap is not None and self._shelf.count(queue, JobState.ACTIVE) >= cap
        return self._shelf.waits(queue) and not held_back

    def settle(self, owner: str, verdicts: Sequence[Verdict]) -> list[Settled]:
        with self._changed:
            answers = [self._settle_one(owner, verdict) for verdict in verdicts]
            self._changed.notify_all()
            return answers

    def _settle_one(self, owner: str, verdict: Verdict) -> Settled:
        record = self._shelf.get(verdict.id)
        if record is None:
            return Settled.REPEATED if verdict.id in self._markers else Settled.REFUSED
        job = record.job
        if job.deliveries != verdict.token or job.state is not JobState.ACTIVE or job.owner != owner:
            return Settled.REPEATED if record.settled_token == verdict.token else Settled.REFUSED
        record.settled_token = verdict.token
        now = self._clock()
        if verdict.progress is not None:
            self._shelf.amend(record, progress=verdict.progress)
        if verdict.record is not None or verdict.outcome is Outcome.COMPLETED:
            self._shelf.amend(record, record=verdict.record)
        self._apply(record, verdict, now)
        if verdict.outcome is not Outcome.RETURNED:
            self._stream.append(job, verdict, record.job.state, now)
        if verdict.outcome is Outcome.COMPLETED and verdict.remove:
            self._remove(job.id, now)
        if verdict.outcome is Outcome.COMPLETED and verdict.keep is not None:
            for old in self._shelf.jobs(job.queue, JobState.COMPLETED)[verdict.keep :]:
                self._remove(old.id, now)
        return Settled.STORED

    def _apply(self, record: Record, verdict: Verdict, now: int) -> None:
        job = record.job
        match verdict.outcome:
            case Outcome.COMPLETED | Outcome.CANCELLED:
                self._finish(record, JobState(verdict.outcome.value), now)
            case Outcome.FAILED:
                self._finish(record, JobState.FAILED, now, verdict.dead_letter)
            case Outcome.RETRY:
                self._totals[job.queue]["retries"] += 1
                self._put_back(record, now, verdict.delay_ms)
            case Outcome.RETURNED:
                self._shelf.amend(record, attempts=job.attempts - 1)
                self._put_back(record, now, verdict.delay_ms, keep_place=True)
            case Outcome.INTERRUPTED if job.interruptions + 1 >= MAX_INTERRUPTIONS:
                self._finish(record, JobState.FAILED, now, verdict.dead_letter)
            case Outcome.INTERRUPTED:
                self._shelf.amend(record, attempts=job.attempts - 1, interruptions=job.interruptions + 1)
                self._put_back(record, now, max(verdict.delay_ms, INTERRUPTED_NOT_BEFORE_MS))
            case Outcome.LOST:
                raise ValueError("only the store itself says that a lease was lost")

    def _finish(self, record: Record, state: JobState, now: int, dead_letter: str | None = None) -> None:
        where = (dead_letter or record.dead_letter) if state is JobState.FAILED else None
        self._shelf.move(record, state, finished_at=now, owner=None, dead_letter=where)
        self._totals[record.job.queue][state] += 1

    def _put_back(self, record: Record, now: int, delay_ms: int, *, keep_place: bool = False) -> None:
        if delay_ms > 0:
            self._shelf.move(record, JobState.DELAYED, due_at=now + delay_ms, ready_at=None, owner=None)
        elif keep_place:
            self._shelf.move(record, JobState.WAITING, owner=None)
        else:
            self._shelf.move(record, JobState.WAITING, new_place=True, ready_at=now, owner=None)

    def owned(self, owner: str) -> dict[str, int]:
        with self._changed:
            return {record.job.id: record.job.deliveries for record in self._shelf.held_by(owner)}

    def register(self, worker: WorkerInfo, lease_ms: int) -> None:
        with self._changed:
            self._workers[worker.owner] = worker
            self._leases[worker.owner] = self._clock() + lease_ms

    def renew(self, owner: str, lease_ms: int) -> bool:
        with self._changed:
            if owner not in self._leases:
                return False
            self._leases[owner] = self._clock() + lease_ms
            return True

    def reclaim(self, max_lost: int, limit: int = 100) -> int:
        with self._changed:
            now, reclaimed = self._clock(), 0
            for owner in [owner for owner, until in self._leases.items() if until <= now]:
                for record in self._shelf.held_by(owner)[: limit - reclaimed]:
                    self._lose(record, max_lost, now)
                    reclaimed += 1
                if not self._shelf.held_by(owner):
                    self._forget(owner)
            self._changed.notify_all()
            return reclaimed

    def _lose(self, record: Record, max_lost: int, now: int) -> None:
        job = record.job
        lost = job.lost_leases + 1
        self._shelf.amend(record, lost_leases=lost)
        if lost >= max_lost or job.attempts >= job.max_attempts:
            self._shelf.amend(record, record=LEASE_LOST)
            self._finish(record, JobState.FAILED, now)
        else:
            # The sequence stays: the job is back at the head of its lane.
            self._shelf.move(record, JobState.WAITING, ready_at=now, owner=None)
        self._stream.append(job, Verdict(job.id, job.deliveries, Outcome.LOST), record.job.state, now)

    def leave(self, owner: str) -> None:
        with self._changed:
            held = [record.job for record in self._shelf.held_by(owner)]
            self.settle(owner, [Verdict(job.id, job.deliveries, Outcome.RETURNED) for job in held])
            self._forget(owner)

    def _forget(self, owner: str) -> None:
        self._leases.pop(owner, None)
        self._workers.pop(owner, None)
        self._requests.pop(owner, None)

    def report_progress(self, updates: Mapping[str, bytes]) -> None:
        with self._changed:
            for job_id, progress in updates.items():
                record = self._shelf.get(job_id)
                if record is not None and record.job.state is JobState.ACTIVE:
                    self._shelf.amend(record, progress=progress)

    # Wake-up

    def wait_for_work(self, queues: Collection[str], timeout_ms: int) -> str | None:
        with self._changed:
            self._changed.wait_for(lambda: any(map(self._shelf.waits, queues)), timeout_ms / 1000)
            return next(filter(self._shelf.waits, queues), None)

    def wake(self, queues: Iterable[str]) -> int:
        with self._changed:
            self._changed.notify_all()
            return len(list(queues))

    # Inspection

    def get(self, job_id: str) -> Job | None:
        with self._changed:
            record = self._shelf.get(job_id)
            return record.job if record else None

    def list_jobs(self, queue: str, state: JobState, limit: int = 50, offset: int = 0) -> list[Job]:
        with self._changed:
            return self._shelf.jobs(queue, state)[offset : offset + limit]

    def stats(self, queues: Sequence[str]) -> list[QueueStats]:
        with self._changed:
            return [self._stats_of(queue) for queue in queues]

    def _stats_of(self, queue: str) -> QueueStats:
        shelf, totals = self._shelf, self._totals[queue]
        ready = [job.ready_at or 0 for job in shelf.jobs(queue, JobState.WAITING)]
        return QueueStats(
            queue=queue,
            waiting=shelf.count(queue, JobState.WAITING),
            active=shelf.count(queue, JobState.ACTIVE),
            delayed=shelf.count(queue, JobState.DELAYED),
            blocked=shelf.count(queue, JobState.BLOCKED),
            completed=shelf.count(queue, JobState.COMPLETED),
            failed=shelf.count(queue, JobState.FAILED),
            cancelled=shelf.count(queue, JobState.CANCELLED),
            dead_letters=sum(job.dead_letter == queue for job in shelf.all_jobs()),
            completed_total=totals["completed"],
            failed_total=totals["failed"],
            retries=totals["retries"],
            oldest_waiting_ms=max(0, self._clock() - min(ready)) if ready else None,
        )

    def workers(self) -> list[WorkerInfo]:
        with self._changed:
            now = self._clock()
            alive = [(o, until) for o, until in self._leases.items() if until > now and o in self._workers]
            return [replace(self._workers[owner], lease_until=until) for owner, until in alive]

    def ping(self) -> None:
        return

    # Retention

    def trim(self, retention: Mapping[str, Retention], limit: int = 1000) -> int:
        with self._changed:
            now, old = self._clock(), []
            for job in self._shelf.all_jobs():
                keep = retention.get(job.queue)
                if keep is None or job.finished_at is None or not job.state.settled:
                    continue
                age = keep.failed_ms if job.state is JobState.FAILED else keep.completed_ms
                if job.finished_at <= now - age:
                    old.append(job.id)
            for job_id in old[:limit]:
                self._remove(job_id, now)
            return min(len(old), limit)

    def _remove(self, job_id: str, now: int) -> None:
        self._shelf.remove(job_id)
        self._markers[job_id] = now + MARKER_MS
        while self._markers and next(iter(self._markers.values())) <= now:
            self._markers.popitem(last=False)

    def flush(self, queue: str) -> int:
        with self._changed:
            pending = (JobState.WAITING, JobState.DELAYED)
            gone = [job.id for state in pending for job in self._shelf.jobs(queue, state)]
            for job_id in gone:
                self._shelf.remove(job_id)
            return len(gone)

    # Events

    def read_events(self, reader: str, consumer: str, limit: int = 500, block_ms: int = 0) -> EventBatch:
        with self._changed:
            self._changed.wait_for(lambda: self._stream.has_news(reader), block_ms / 1000)
            return self._stream.read(reader, limit)

    def ack_events(self, reader: str, ids: Sequence[str]) -> None:
        with self._changed:
            self._stream.acknowledge(reader, ids)

    def close(self) -> None:
        return
