"""The job store in memory: for tests of users and ours. One lock, the same promises as Redis.

The clock is handed in, so that a test moves time instead of waiting for it.
"""

import threading
import time
from bisect import insort
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import orjson

from jobs.model import (
    Accepted,
    Event,
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
from jobs.states import JobState, check_transition
from jobs.store import JobStore

INTERRUPTED_NOT_BEFORE_MS = 2_000
MAX_INTERRUPTIONS = 10
MARKER_MS = 120_000


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class _Record:
    job: Job
    sequence: int
    deliveries_settled: int = 0


@dataclass
class _Stream:
    events: list[Event] = field(default_factory=list)
    pending: dict[str, dict[str, Event]] = field(default_factory=lambda: defaultdict(dict))
    position: dict[str, int] = field(default_factory=lambda: defaultdict(int))


class MemoryStore(JobStore):
    """Keeps everything in this process. `clock` returns milliseconds since 1970."""

    def __init__(self, clock: Callable[[], int] = wall_clock_ms) -> None:
        self._clock = clock
        self._changed = threading.Condition(threading.RLock())
        self._records: dict[str, _Record] = {}
        self._waiting: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
        self._turn: deque[str] = deque()
        self._workers: dict[str, WorkerInfo] = {}
        self._leases: dict[str, int] = {}
        self._requests: dict[str, tuple[str, list[str]]] = {}
        self._markers: OrderedDict[str, int] = OrderedDict()
        self._totals: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._stream = _Stream()
        self._sequence = 0
        self._event_sequence = 0

    # Producers

    def enqueue(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        with self._changed:
            accepted = [self._enqueue_one(job) for job in jobs]
            self._changed.notify_all()
            return accepted

    def _enqueue_one(self, new: NewJob) -> Accepted:
        now = self._clock()
        if new.id in self._records or self._markers.get(new.id, 0) > now:
            return Accepted(new.id, created=False)
        due = new.run_at_ms if new.run_at_ms is not None else now + new.delay_ms
        delayed = due > now
        state = JobState.DELAYED if delayed else JobState.WAITING
        check_transition(None, state)
        job = Job(
            id=new.id,
            queue=new.queue,
            actor=new.actor,
            lane=new.lane,
            state=state,
            priority=new.priority,
            attempts=0,
            max_attempts=new.max_attempts,
            deliveries=0,
            lost_leases=0,
            interruptions=0,
            created_at=now,
            due_at=due if delayed else None,
            ready_at=None if delayed else now,
            started_at=None,
            finished_at=None,
            owner=None,
            dead_letter=None,
            payload=new.payload,
            record=None,
            progress=None,
        )
        self._records[new.id] = _Record(job, sequence=self._next_sequence())
        if not delayed:
            self._line_up(self._records[new.id])
        return Accepted(new.id, created=True)

    # Workers

    def fetch(self, request: FetchRequest) -> Fetched:
        with self._changed:
            now = self._clock()
            self._promote(now)
            self._leases[request.owner] = now + request.lease_ms
            token, ids = self._requests.get(request.owner, ("", []))
            if token == request.token:
                held = [self._records[i].job for i in ids if i in self._records]
                again = [self._as_fetched(job) for job in held if job.owner == request.owner]
                return Fetched(again, now, self._next_due())
            jobs = self._take(request, now)
            self._requests[request.owner] = (request.token, [job.id for job in jobs])
            more = tuple(queue for queue, share in request.queues.items() if self._more(queue, share[1]))
            return Fetched(jobs, now, self._next_due(), more)

    def _more(self, queue: str, cap: int | None) -> bool:
        """Whether jobs are left over that a cap over all workers does not hold back."""
        held_back = cap is not None and self._count(queue, JobState.ACTIVE) >= cap
        return bool(self._waiting[queue]) and not held_back

    def _take(self, request: FetchRequest, now: int) -> list[FetchedJob]:
        taken: list[FetchedJob] = []
        for queue in list(self._turn):
            share, cap = request.queues.get(queue, (0, None))
            if cap is not None:
                share = min(share, cap - self._count(queue, JobState.ACTIVE))
            share = min(share, request.credits - len(taken))
            for _ in range(max(0, min(share, len(self._waiting[queue])))):
                _, _, job_id = self._waiting[queue].pop(0)
                record = self._records[job_id]
                self._change(
                    record,
                    JobState.ACTIVE,
                    attempts=record.job.attempts + 1,
                    deliveries=record.job.deliveries + 1,
                    owner=request.owner,
                    started_at=now,
                )
                taken.append(self._as_fetched(record.job))
            if share > 0:
                self._turn.remove(queue)
                if self._waiting[queue]:
                    self._turn.append(queue)
        return taken

    def settle(self, owner: str, verdicts: Sequence[Verdict]) -> list[Settled]:
        with self._changed:
            answers = [self._settle_one(owner, verdict) for verdict in verdicts]
            self._changed.notify_all()
            return answers

    def _settle_one(self, owner: str, verdict: Verdict) -> Settled:
        record = self._records.get(verdict.id)
        if record is None:
            return Settled.REPEATED if verdict.id in self._markers else Settled.REFUSED
        job = record.job
        if job.deliveries != verdict.token or job.state is not JobState.ACTIVE or job.owner != owner:
            repeated = record.deliveries_settled == verdict.token
            return Settled.REPEATED if repeated else Settled.REFUSED
        record.deliveries_settled = verdict.token
        now = self._clock()
        if verdict.progress is not None:
            record.job = replace(record.job, progress=verdict.progress)
        if verdict.record is not None:
            record.job = replace(record.job, record=verdict.record)
        state = self._apply(record, verdict, now)
        if verdict.outcome is not Outcome.RETURNED:
            self._emit(job, verdict, state, now)
        if verdict.outcome is Outcome.COMPLETED and verdict.keep is not None:
            self._keep_newest(job.queue, verdict.keep, now)
        return Settled.STORED

    def _apply(self, record: _Record, verdict: Verdict, now: int) -> JobState:
        job, totals = record.job, self._totals[record.job.queue]
        match verdict.outcome:
            case Outcome.COMPLETED | Outcome.CANCELLED:
                state = JobState(verdict.outcome.value)
                self._change(record, state, finished_at=now, owner=None)
                totals[state] += 1
            case Outcome.FAILED:
                state = JobState.FAILED
                self._change(record, state, finished_at=now, owner=None, dead_letter=verdict.dead_letter)
                totals[state] += 1
            case Outcome.RETRY:
                totals["retries"] += 1
                state = self._postpone(record, now, verdict.delay_ms)
            case Outcome.RETURNED:
                record.job = replace(job, attempts=job.attempts - 1)
                state = self._postpone(record, now, verdict.delay_ms, keep_place=True)
            case Outcome.INTERRUPTED if job.interruptions + 1 >= MAX_INTERRUPTIONS:
                state = JobState.FAILED
                self._change(record, state, finished_at=now, owner=None, dead_letter=verdict.dead_letter)
                totals[state] += 1
            case Outcome.INTERRUPTED:
                record.job = replace(job, attempts=job.attempts - 1, interruptions=job.interruptions + 1)
                state = self._postpone(record, now, max(verdict.delay_ms, INTERRUPTED_NOT_BEFORE_MS))
            case Outcome.LOST:
                raise ValueError("only the store itself says that a lease was lost")
        return state

    def _postpone(self, record: _Record, now: int, delay_ms: int, *, keep_place: bool = False) -> JobState:
        if delay_ms > 0:
            self._change(record, JobState.DELAYED, due_at=now + delay_ms, ready_at=None, owner=None)
            return JobState.DELAYED
        if not keep_place:
            record.sequence = self._next_sequence()
        ready = record.job.ready_at if keep_place else now
        self._change(record, JobState.WAITING, ready_at=ready, owner=None)
        self._line_up(record)
        return JobState.WAITING

    def owned(self, owner: str) -> dict[str, int]:
        with self._changed:
            return {r.job.id: r.job.deliveries for r in self._records.values() if r.job.owner == owner}

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
            for owner in [o for o, until in self._leases.items() if until <= now]:
                held = [r for r in self._records.values() if r.job.owner == owner]
                for record in held[: limit - reclaimed]:
                    self._lose(record, max_lost, now)
                    reclaimed += 1
                if not any(r.job.owner == owner for r in held):
                    self._forget(owner)
            self._changed.notify_all()
            return reclaimed

    def _lose(self, record: _Record, max_lost: int, now: int) -> None:
        before = record.job
        lost = before.lost_leases + 1
        record.job = replace(before, lost_leases=lost)
        verdict = Verdict(before.id, before.deliveries, Outcome.LOST)
        if lost >= max_lost or before.attempts >= before.max_attempts:
            reason = b'{"error":{"type":"LeaseLost","message":"the worker died while it ran this job"}}'
            record.job = replace(record.job, record=reason)
            self._change(record, JobState.FAILED, finished_at=now, owner=None, dead_letter="dead-letter")
            self._totals[before.queue]["failed"] += 1
            state = JobState.FAILED
        else:
            # The sequence stays: the job is back at the head of its lane.
            self._change(record, JobState.WAITING, ready_at=now, owner=None)
            self._line_up(record)
            state = JobState.WAITING
        self._emit(before, verdict, state, now)

    def leave(self, owner: str) -> None:
        with self._changed:
            held = [r.job for r in self._records.values() if r.job.owner == owner]
            self.settle(owner, [Verdict(j.id, j.deliveries, Outcome.RETURNED) for j in held])
            self._forget(owner)

    def _forget(self, owner: str) -> None:
        self._leases.pop(owner, None)
        self._workers.pop(owner, None)
        self._requests.pop(owner, None)

    def report_progress(self, updates: Mapping[str, bytes]) -> None:
        with self._changed:
            for job_id, progress in updates.items():
                record = self._records.get(job_id)
                if record is not None and record.job.state is JobState.ACTIVE:
                    record.job = replace(record.job, progress=progress)

    # Wake-up

    def wait_for_work(self, queues: Collection[str], timeout_ms: int) -> str | None:
        with self._changed:
            self._changed.wait_for(lambda: any(self._waiting[q] for q in queues), timeout_ms / 1000)
            return next((queue for queue in queues if self._waiting[queue]), None)

    def wake(self, queues: Iterable[str]) -> int:
        with self._changed:
            self._changed.notify_all()
            return len(list(queues))

    # Inspection

    def get(self, job_id: str) -> Job | None:
        with self._changed:
            record = self._records.get(job_id)
            return record.job if record else None

    def list_jobs(self, queue: str, state: JobState, limit: int = 50, offset: int = 0) -> list[Job]:
        with self._changed:
            records = [r for r in self._records.values() if r.job.queue == queue and r.job.state is state]
            if state.settled:
                records.sort(key=lambda r: (r.job.finished_at or 0, r.job.id), reverse=True)
            elif state is JobState.DELAYED:
                records.sort(key=lambda r: (r.job.due_at or 0, r.job.id))
            else:
                records.sort(key=_place)
            return [record.job for record in records[offset : offset + limit]]

    def stats(self, queues: Sequence[str]) -> list[QueueStats]:
        with self._changed:
            return [self._stats_of(queue) for queue in queues]

    def _stats_of(self, queue: str) -> QueueStats:
        totals, oldest = self._totals[queue], None
        ready = [self._records[entry[2]].job.ready_at or 0 for entry in self._waiting[queue]]
        if ready:
            oldest = max(0, self._clock() - min(ready))
        return QueueStats(
            queue=queue,
            waiting=self._count(queue, JobState.WAITING),
            active=self._count(queue, JobState.ACTIVE),
            delayed=self._count(queue, JobState.DELAYED),
            completed=self._count(queue, JobState.COMPLETED),
            failed=self._count(queue, JobState.FAILED),
            cancelled=self._count(queue, JobState.CANCELLED),
            dead_letters=sum(r.job.dead_letter == queue for r in self._records.values()),
            completed_total=totals["completed"],
            failed_total=totals["failed"],
            retries=totals["retries"],
            oldest_waiting_ms=oldest,
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
            now = self._clock()
            old: list[str] = []
            for job in (record.job for record in self._records.values()):
                keep = retention.get(job.queue)
                if keep is None or job.finished_at is None or not job.state.settled:
                    continue
                age = keep.failed_ms if job.state is JobState.FAILED else keep.completed_ms
                if job.finished_at <= now - age:
                    old.append(job.id)
            for job_id in old[:limit]:
                self._remove(job_id, now)
            return min(len(old), limit)

    def flush(self, queue: str) -> int:
        with self._changed:
            pending = (JobState.WAITING, JobState.DELAYED)
            gone = [
                r.job.id for r in self._records.values() if r.job.queue == queue and r.job.state in pending
            ]
            for job_id in gone:
                check_transition(self._records[job_id].job.state, None)
                del self._records[job_id]
            self._waiting[queue].clear()
            return len(gone)

    # Events

    def read_events(self, reader: str, consumer: str, limit: int = 500, block_ms: int = 0) -> EventBatch:
        stream = self._stream
        with self._changed:
            self._changed.wait_for(
                lambda: stream.pending[reader] or stream.position[reader] < self._event_sequence,
                block_ms / 1000,
            )
            events = list(stream.pending[reader].values())[:limit]
            if not events:
                events = [e for e in stream.events if int(e.id) > stream.position[reader]][:limit]
                stream.pending[reader].update({event.id: event for event in events})
                if events:
                    stream.position[reader] = int(events[-1].id)
            unread = self._event_sequence - stream.position[reader]
            return EventBatch(events, lag=unread + len(stream.pending[reader]))

    def ack_events(self, reader: str, ids: Sequence[str]) -> None:
        with self._changed:
            for event_id in ids:
                self._stream.pending[reader].pop(event_id, None)
            done = min(self._stream.position.values(), default=0)
            waiting = {i for events in self._stream.pending.values() for i in events}
            kept = [e for e in self._stream.events if int(e.id) > done or e.id in waiting]
            self._stream.events = kept

    def close(self) -> None:
        return

    # Inside

    def _next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence

    def _line_up(self, record: _Record) -> None:
        insort(self._waiting[record.job.queue], _place(record))
        if record.job.queue not in self._turn:
            self._turn.append(record.job.queue)

    def _promote(self, now: int) -> None:
        due = [
            r
            for r in self._records.values()
            if r.job.state is JobState.DELAYED and (r.job.due_at or 0) <= now
        ]
        for record in sorted(due, key=lambda r: (r.job.due_at or 0, r.job.id)):
            record.sequence = self._next_sequence()
            self._change(record, JobState.WAITING, due_at=None, ready_at=record.job.due_at)
            self._line_up(record)

    def _next_due(self) -> int | None:
        return min(
            (
                r.job.due_at
                for r in self._records.values()
                if r.job.state is JobState.DELAYED and r.job.due_at
            ),
            default=None,
        )

    def _change(self, record: _Record, state: JobState, **changes: object) -> None:
        check_transition(record.job.state, state)
        record.job = replace(record.job, state=state, **changes)  # type: ignore[arg-type]

    def _count(self, queue: str, state: JobState) -> int:
        return sum(r.job.queue == queue and r.job.state is state for r in self._records.values())

    def _as_fetched(self, job: Job) -> FetchedJob:
        return FetchedJob(
            id=job.id,
            queue=job.queue,
            actor=job.actor,
            payload=job.payload,
            token=job.deliveries,
            attempt=job.attempts,
            max_attempts=job.max_attempts,
            priority=job.priority,
            lane=job.lane,
            lost_leases=job.lost_leases,
            created_at=job.created_at,
            ready_at=job.ready_at or 0,
            started_at=job.started_at or 0,
        )

    def _emit(self, job: Job, verdict: Verdict, state: JobState, now: int) -> None:
        """`job` as it was while it ran; `state` is what follows."""
        self._event_sequence += 1
        self._stream.events.append(
            Event(
                id=str(self._event_sequence),
                job_id=job.id,
                queue=job.queue,
                actor=job.actor,
                lane=job.lane,
                outcome=verdict.outcome,
                state=state,
                attempt=job.attempts,
                token=verdict.token,
                owner=job.owner or "",
                created_at=job.created_at,
                ready_at=job.ready_at or 0,
                started_at=job.started_at or 0,
                finished_at=now,
                detail=verdict.detail,
            )
        )

    def _keep_newest(self, queue: str, keep: int, now: int) -> None:
        done = [
            r.job
            for r in self._records.values()
            if r.job.queue == queue and r.job.state is JobState.COMPLETED
        ]
        done.sort(key=lambda job: (job.finished_at or 0, job.id))
        for job in done[: max(0, len(done) - keep)]:
            self._remove(job.id, now)

    def _remove(self, job_id: str, now: int) -> None:
        check_transition(self._records[job_id].job.state, None)
        del self._records[job_id]
        self._markers[job_id] = now + MARKER_MS
        while self._markers and next(iter(self._markers.values())) <= now:
            self._markers.popitem(last=False)


def _place(record: _Record) -> tuple[int, int, str]:
    """A job's place in its queue: priority, sequence, id. One lane per queue for now."""
    return (record.job.priority, record.sequence, record.job.id)


def describe_failure(kind: str, message: str) -> bytes:
    """The record kept with a job that the store itself dead-letters."""
    return orjson.dumps({"error": {"type": kind, "message": message}})
