"""The in-memory store: every verb of the port, under one lock.

The clock is handed in, so that a test moves time instead of waiting for it.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from jobs.limits import (
    BreakerTerms,
    Grant,
    LimitRule,
    LimitState,
    News,
    ProviderState,
    Want,
    check_limit_changes,
)
from jobs.memory import acquiring, freeing, inspection, notes, operators, settling
from jobs.memory.accepting import accept
from jobs.memory.fetching import fetch, may_run
from jobs.memory.limits import Rest
from jobs.memory.state import State
from jobs.memory.timing import look_at_the_clock, soonest
from jobs.model import (
    Accepted,
    AttemptLog,
    Cancelled,
    EventBatch,
    Fetched,
    FetchRequest,
    Job,
    LaneStats,
    LogChunk,
    NewJob,
    QueueStats,
    Retention,
    Scope,
    Settled,
    Standing,
    Verdict,
    WorkerInfo,
)
from jobs.rules import QueueRules
from jobs.states import JobState
from jobs.store import JobStore


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class MemoryStore(JobStore):
    """Keeps everything in this process. `clock` returns milliseconds since 1970."""

    def __init__(self, clock: Callable[[], int] = wall_clock_ms) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._state = State(clock)
        self._offers: set[str] = set()
        self._signals: list[str] = []  # jobs that shall be cancelled, since the beginning
        self._heard: dict[int, int] = {}  # by listening thread: how many of the signals

    @contextmanager
    def _step(self) -> Iterator[State]:
        """One verb: nobody else changes anything, and time stands still."""
        with self._changed:
            self._state.begin()
            yield self._state
            self._state.end()
            freeing.end_deliveries(self._state)
            self._changed.notify_all()

    # Producers

    def enqueue(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        with self._step() as state:
            return [accept(state, job, index) for index, job in enumerate(jobs)]

    # Workers

    def fetch(self, request: FetchRequest) -> Fetched:
        with self._step() as state:
            return fetch(state, request)

    def settle(self, owner: str, verdicts: Sequence[Verdict]) -> list[Settled]:
        with self._step() as state:
            return settling.settle(state, owner, verdicts)

    def settle_and_fetch(
        self, verdicts: Sequence[Verdict], request: FetchRequest
    ) -> tuple[list[Settled], Fetched]:
        with self._changed:
            settled = self.settle(request.owner, verdicts)
            woken = tuple(self._state.woken)
            return settled, self.fetch(request).with_woken(request, woken)

    def open_group(self, group: str, size: int, ttl_ms: int) -> bool:
        with self._step() as state:
            return state.groups.open(group, size, ttl_ms, state.now)

    def arrive(self, group: str, job_id: str) -> bool:
        with self._step() as state:
            return state.groups.arrive(group, job_id)

    def cached(self, queue: str, key: str) -> bytes | None:
        with self._step() as state:
            return state.cache.find(key, state.now)

    def clear_cache(self, prefix: str, limit: int = 1000) -> int:
        with self._step() as state:
            return state.cache.clear(prefix, limit)

    def owned(self, owner: str) -> dict[str, int]:
        with self._step() as state:
            return {record.job.id: record.job.deliveries for record in state.shelf.held_by(owner)}

    def register(self, worker: WorkerInfo, lease_ms: int) -> bool:
        with self._step() as state:
            state.workers.infos[worker.owner] = replace(worker, seen_at=state.now)
            state.workers.prolong(worker.owner, lease_ms, state.now)
            return state.policies.configured

    def renew(self, owner: str, lease_ms: int) -> bool:
        with self._step() as state:
            if owner not in state.workers.leases:
                return False
            state.workers.prolong(owner, lease_ms, state.now)
            return True

    def reclaim(self, max_lost: int, limit: int = 100) -> int:
        with self._step() as state:
            watcher = state.workers.watch.owner
            reclaimed = settling.reclaim(state, max_lost, limit)
            self._offer_the_watch(watcher)
            self._offers |= {queue for queue, suspects in state.suspects.items() if suspects and reclaimed}
            return reclaimed

    def leave(self, owner: str) -> None:
        with self._step() as state:
            watcher = state.workers.watch.owner
            settling.leave(state, owner)
            self._offer_the_watch(watcher)

    def _offer_the_watch(self, watcher: str) -> None:
        """Whoever watched the timers has gone: another process shall."""
        if watcher and not self._state.workers.watch.owner and (due := soonest(self._state)):
            self._offers.add(due[1])

    def report_progress(self, owner: str, updates: Mapping[str, tuple[int, bytes]]) -> None:
        with self._step() as state:
            for job_id, (token, progress) in updates.items():
                record = state.shelf.get(job_id)
                if record is not None and record.job.owner == owner and record.job.deliveries == token:
                    state.shelf.amend(record, progress=progress)

    def save_step(
        self, owner: str, job_id: str, token: int, name: str, outcome: bytes, *, lasting: bool = False
    ) -> bool:
        with self._step() as state:
            return notes.save_step(state, owner, job_id, token, name, outcome, lasting)

    def steps(self, job_id: str) -> dict[str, bytes]:
        with self._step() as state:
            record = state.shelf.get(job_id)
            return record.notes.steps.copy() if record else {}

    def add_log(self, owner: str, chunks: Sequence[LogChunk]) -> None:
        with self._step() as state:
            for chunk in chunks:
                notes.add_log(state, owner, chunk)

    def logs(self, job_id: str) -> list[AttemptLog]:
        with self._step() as state:
            record = state.shelf.get(job_id)
            return record.notes.attempts() if record else []

    # Wake-up

    def wait_for_work(self, queues: Collection[str], timeout_ms: int) -> str | None:
        deadline = time.monotonic() + timeout_ms / 1000
        with self._changed:
            while (found := self._work_for(queues)) is None and (left := deadline - time.monotonic()) > 0:
                due = soonest(self._state)
                until_due = left if due is None else max(0.001, (due[0] - self._state.now) / 1000)
                self._changed.wait(min(left, until_due))
            return found

    def _work_for(self, queues: Collection[str]) -> str | None:
        self._state.begin()
        look_at_the_clock(self._state)
        for queue in queues:
            if queue in self._offers or may_run(self._state, queue):
                self._offers.discard(queue)
                return queue
        return None

    def offer(self, queues: Iterable[str]) -> int:
        with self._step():
            new = set(queues) - self._offers
            self._offers |= new
            return len(new)

    def listen(self, heard: Callable[[str], None], joined: Callable[[], None], timeout_ms: int) -> None:
        me = threading.get_ident()
        with self._changed:
            new = me not in self._heard
            position = self._heard.setdefault(me, len(self._signals))
        if new:
            joined()
        with self._changed:
            self._changed.wait_for(lambda: len(self._signals) > position, timeout_ms / 1000)
            signals = self._signals[position:]
            self._heard[me] = len(self._signals)
        for job_id in signals:
            heard(job_id)

    def cancels(self, owner: str) -> list[str]:
        with self._step() as state:
            held = [record.job for record in state.shelf.held_by(owner)]
            return [job.id for job in held if job.cancel_requested]

    # Limits

    def acquire(
        self,
        owner: str,
        job_id: str,
        token: int,
        wants: Sequence[Want],
        *,
        queue: str,
        request: int = 0,
        patience_ms: int = 0,
    ) -> Grant:
        with self._step() as state:
            grant, look = acquiring.acquire(state, owner, job_id, token, wants, request, patience_ms)
            if look:
                self._offers.add(queue)
            return grant

    def give_back(self, job_id: str, token: int, request: int, *, queue: str) -> None:
        with self._step() as state:
            freeing.give_back(state, job_id, token, request)

    def set_limit(self, rule: str, tenant: str | None, changes: Mapping[str, int | None]) -> None:
        check_limit_changes(changes)
        with self._step() as state:
            freeing.set_limit(state, rule, tenant, changes)

    def limit_changes(self) -> dict[tuple[str, str | None], dict[str, int]]:
        with self._step() as state:
            return {key: dict(changes) for key, changes in state.running_limits.changes.items()}

    def limit_states(
        self,
        rules: Sequence[LimitRule],
        tenant: str | None = None,
        limit: int = 1000,
        after: tuple[str, str, str] | None = None,
    ) -> list[LimitState]:
        with self._step() as state:
            return freeing.limit_states(state, rules, tenant, limit, after)

    def provider_news(
        self,
        name: str,
        news: News,
        terms: BreakerTerms,
        *,
        queue: str,
        wait_ms: int = 0,
        probe: bool = False,
    ) -> ProviderState:
        with self._step() as state:
            return freeing.provider_news(state, name, news, terms, wait_ms, probe=probe)

    def reset_provider(self, name: str) -> None:
        with self._step() as state:
            freeing.provider_news(state, name, None, BreakerTerms(), 0)

    def provider_states(self, names: Sequence[str]) -> list[ProviderState]:
        with self._step() as state:
            return [freeing.provider_state(state, name) for name in names]

    # Rules

    def configure(self, rules: Mapping[str, QueueRules], weights: Mapping[str, float]) -> None:
        with self._step() as state:
            changed = state.policies.configure(rules, weights)
            for queue in rules:
                state.reband(queue)
            for queue in changed:
                state.tick += 1  # they take turns as the settings name them
                operators.rouse(state, queue)

    def adjust(self, scope: Scope, changes: Mapping[str, object]) -> None:
        with self._step() as state:
            operators.adjust(state, scope, changes)

    def adjustments(self) -> dict[Scope, dict[str, object]]:
        with self._step() as state:
            return {scope: dict(changes) for scope, changes in state.policies.adjusted.items()}

    def process_rules(self, queues: Sequence[str]) -> dict[str, dict[str, object]]:
        with self._step() as state:
            found = {queue: state.policies.of_processes(queue) for queue in queues}
            return {queue: rules for queue, rules in found.items() if rules}

    def rest(self, scope: Scope, for_ms: int, reason: str) -> None:
        with self._step() as state:
            state.rest(scope, Rest(state.now + for_ms, reason))

    def wake(self, scope: Scope) -> None:
        with self._step() as state:
            state.end_rest(scope)

    # Operators

    def promote(self, job_ids: Sequence[str]) -> list[bool]:
        with self._step() as state:
            return operators.promote(state, job_ids)

    def set_priority(self, job_ids: Sequence[str], priority: int) -> list[bool]:
        with self._step() as state:
            return operators.set_priority(state, job_ids, priority)

    def cancel(self, job_ids: Sequence[str], reason: str = "") -> list[Cancelled]:
        with self._step() as state:
            return operators.cancel(state, job_ids, reason, self._signals.append)

    def remove(self, job_ids: Sequence[str], ended_by: int | None = None) -> list[bool]:
        with self._step() as state:
            return operators.remove(state, job_ids, ended_by)

    def withdraw(self, job_ids: Sequence[str]) -> list[bool]:
        with self._step() as state:
            return operators.withdraw(state, job_ids)

    def retry_dead(
        self, job_ids: Sequence[str], ended_by: int | None = None, *, from_start: bool = False
    ) -> list[bool]:
        with self._step() as state:
            return operators.retry_dead(state, job_ids, ended_by, from_start)

    def replace_payload(self, job_id: str, expected: bytes, payload: bytes) -> bool:
        with self._step() as state:
            record = state.shelf.get(job_id)
            if record is None or record.job.payload != expected:
                return False
            state.shelf.amend(record, payload=payload)
            return True

    def drain(self, queue: str, *, delayed: bool = True, limit: int = 1000) -> int:
        with self._step() as state:
            return operators.drain(state, queue, delayed, limit)

    def clean(
        self, queue: str, state: JobState, older_than_ms: int = 0, keep: int = 0, limit: int = 1000
    ) -> int:
        with self._step() as held:
            return operators.clean(held, queue, state, older_than_ms, keep, limit)

    def obliterate(self, queue: str, limit: int = 1000) -> int:
        with self._step() as state:
            return operators.obliterate(state, queue, limit)

    # Inspection

    def get(self, job_id: str) -> Job | None:
        with self._step() as state:
            record = state.shelf.get(job_id)
            return record.job if record else None

    def standing(self, job_id: str) -> Standing | None:
        with self._step() as state:
            record = state.shelf.get(job_id)
            return inspection.standing(state, record) if record else None

    def list_jobs(self, queue: str, state: JobState, limit: int = 50, offset: int = 0) -> list[Job]:
        with self._step() as held:
            return inspection.list_jobs(held, queue, state, limit, offset)

    def scan(
        self, queue: str, state: JobState, limit: int = 100, after: str = "", *, routed: bool = False
    ) -> tuple[list[Job], str | None]:
        with self._step() as held:
            return inspection.scan(held, queue, state, limit, after, routed)

    def scan_all(self, limit: int = 100, after: str = "") -> tuple[list[Job], str | None]:
        with self._step() as held:
            return inspection.scan_all(held, limit, after)

    def stats(self, queues: Sequence[str]) -> list[QueueStats]:
        with self._step() as state:
            return [inspection.stats_of(state, queue) for queue in queues]

    def lanes(self, queue: str, lanes: Sequence[str] | None = None, limit: int = 100) -> list[LaneStats]:
        with self._step() as state:
            return inspection.lanes(state, queue, lanes, limit)

    def workers(self) -> list[WorkerInfo]:
        with self._step() as state:
            infos, leases = state.workers.infos, state.workers.leases
            alive = [
                (owner, until) for owner, until in leases.items() if until > state.now and owner in infos
            ]
            return [replace(infos[owner], lease_until=until) for owner, until in alive]

    def ping(self) -> None:
        return

    # Retention

    def trim(self, retention: Mapping[str, Retention], limit: int = 1000) -> int:
        with self._step() as state:
            removed = operators.trim(state, retention, limit)
            for queue in retention:
                state.reband(queue)
            return removed

    # Events

    def read_events(self, reader: str, consumer: str, limit: int = 500, block_ms: int = 0) -> EventBatch:
        with self._changed:
            self._state.begin()
            stream = self._state.stream
            self._changed.wait_for(lambda: stream.has_news(reader, self._state.now), block_ms / 1000)
            return stream.read(reader, consumer, limit, self._state.now)

    def ack_events(self, reader: str, ids: Sequence[str]) -> None:
        with self._step() as state:
            state.stream.acknowledge(reader, ids)

    def keep_readers(self, readers: Collection[str]) -> None:
        with self._step() as state:
            state.stream.keep_readers(readers)

    def close(self) -> None:
        return
