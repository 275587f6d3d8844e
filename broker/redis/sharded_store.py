"""One store over several shards: each queue is in one of them, and each shard is atomic in itself.

Verbs that name a queue go to its shard. Verbs that name jobs ask the shards in turn, each once. Workers
use `shards` one by one; what would have to be atomic over two shards is refused here.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from broker.redis.routing import Routing
from broker.redis.shard_events import ShardEvents
from jobs.errors import CallboardError
from jobs.limits import BreakerTerms, Grant, LimitRule, LimitState, News, ProviderState, Want
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

R = TypeVar("R")


class ShardedStore(JobStore):
    """`queues` maps queues to names of `shards`; all others are in `main`, which is among them.

    An id and a unique key mean one job within a shard; the same id in queues of two shards is two jobs.
    """

    def __init__(self, shards: Mapping[str, JobStore], queues: Mapping[str, str]) -> None:
        self._shards = dict(shards)
        self._routing = Routing(queues)
        self._events = ShardEvents(self._shards)

    @property
    def shards(self) -> Mapping[str, JobStore]:
        return self._shards

    def shard_of(self, queue: str) -> str:
        return self._routing.shard_of(queue)

    # Producers

    def enqueue(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        """As of one store; when one shard is away, the jobs of the others may have been accepted."""
        answers: dict[int, Accepted] = {}
        by_shard: dict[str, list[int]] = {}
        for number, job in enumerate(jobs):
            by_shard.setdefault(self.shard_of(job.queue), []).append(number)
        for shard, numbers in by_shard.items():
            accepted = self._shards[shard].enqueue([jobs[number] for number in numbers])
            answers.update(zip(numbers, accepted, strict=True))
        return [answers[number] for number in range(len(jobs))]

    # Workers

    def fetch(self, request: FetchRequest) -> Fetched:
        return self._shards[self._routing.only(request.queues)].fetch(request)

    def settle(self, owner: str, verdicts: Sequence[Verdict]) -> list[Settled]:
        """Ask the shards in turn: one that does not know a delivery refuses it.

        Jobs that follow in another shard are accepted before.
        """
        verdicts = [self._without_foreign(verdict) if verdict.follow else verdict for verdict in verdicts]
        return self._asked(
            [verdict.id for verdict in verdicts],
            lambda store, numbers: store.settle(owner, [verdicts[number] for number in numbers]),
            Settled.REFUSED,
        )

    def open_group(self, group: str, size: int, ttl_ms: int) -> bool:
        return self._first.open_group(group, size, ttl_ms)

    def arrive(self, group: str, job_id: str) -> bool:
        return self._first.arrive(group, job_id)

    @property
    def _first(self) -> JobStore:
        """Where groups are counted: their jobs may be in any shard."""
        return self._shards["main"]

    def cached(self, queue: str, key: str) -> bytes | None:
        return self._of(queue).cached(queue, key)

    def clear_cache(self, prefix: str, limit: int = 1000) -> int:
        cleared = 0
        for store in self._shards.values():
            cleared += store.clear_cache(prefix, limit - cleared) if cleared < limit else 0
        return cleared

    def owned(self, owner: str) -> dict[str, int]:
        return {job: token for part in self._each(lambda s: s.owned(owner)) for job, token in part.items()}

    def register(self, worker: WorkerInfo, lease_ms: int) -> bool:
        return all(self._each(lambda store: store.register(worker, lease_ms)))

    def renew(self, owner: str, lease_ms: int) -> bool:
        return all(self._each(lambda store: store.renew(owner, lease_ms)))

    def reclaim(self, max_lost: int, limit: int = 100) -> int:
        return sum(self._each(lambda store: store.reclaim(max_lost, limit)))

    def leave(self, owner: str) -> None:
        self._each(lambda store: store.leave(owner))

    def report_progress(self, owner: str, updates: Mapping[str, tuple[int, bytes]]) -> None:
        if updates:
            self._each(lambda store: store.report_progress(owner, updates))

    def save_step(
        self, owner: str, job_id: str, token: int, name: str, outcome: bytes, *, lasting: bool = False
    ) -> bool:
        return any(
            store.save_step(owner, job_id, token, name, outcome, lasting=lasting)
            for store in self._shards.values()
        )

    def steps(self, job_id: str) -> dict[str, bytes]:
        return next((found for store in self._shards.values() if (found := store.steps(job_id))), {})

    def add_log(self, owner: str, chunks: Sequence[LogChunk]) -> None:
        if chunks:
            self._each(lambda store: store.add_log(owner, chunks))

    def logs(self, job_id: str) -> list[AttemptLog]:
        return next((found for store in self._shards.values() if (found := store.logs(job_id))), [])

    # Wake-up

    def wait_for_work(self, queues: Collection[str], timeout_ms: int) -> str | None:
        return self._shards[self._routing.only(queues)].wait_for_work(queues, timeout_ms)

    def offer(self, queues: Iterable[str]) -> int:
        return sum(self._shards[shard].offer(names) for shard, names in self._routing.parted(queues).items())

    def listen(self, heard: Callable[[str], None], joined: Callable[[], None], timeout_ms: int) -> None:
        self._shards[self._routing.only(self._routing.queues)].listen(heard, joined, timeout_ms)

    def cancels(self, owner: str) -> list[str]:
        return [job for part in self._each(lambda store: store.cancels(owner)) for job in part]

    # Limits, which count in each shard by themselves

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
        return self._of(queue).acquire(
            owner, job_id, token, wants, queue=queue, request=request, patience_ms=patience_ms
        )

    def give_back(self, job_id: str, token: int, request: int, *, queue: str) -> None:
        self._of(queue).give_back(job_id, token, request, queue=queue)

    def set_limit(self, rule: str, tenant: str | None, changes: Mapping[str, int | None]) -> None:
        self._each(lambda store: store.set_limit(rule, tenant, changes))

    def limit_changes(self) -> dict[tuple[str, str | None], dict[str, int]]:
        return {
            key: changes for part in self._each(lambda s: s.limit_changes()) for key, changes in part.items()
        }

    def limit_states(
        self,
        rules: Sequence[LimitRule],
        tenant: str | None = None,
        limit: int = 1000,
        after: tuple[str, str, str] | None = None,
    ) -> list[LimitState]:
        parts = self._each(lambda store: store.limit_states(rules, tenant, limit, after))
        return sorted((one for part in parts for one in part), key=lambda one: one.place)[:limit]

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
        shard = self._of(queue)
        return shard.provider_news(name, news, terms, queue=queue, wait_ms=wait_ms, probe=probe)

    def reset_provider(self, name: str) -> None:
        self._each(lambda store: store.reset_provider(name))

    def provider_states(self, names: Sequence[str]) -> list[ProviderState]:
        """Of each provider the shard in which it is worst."""
        parts = self._each(lambda store: store.provider_states(names))
        return [
            max(rows, key=lambda row: (row.open_until or 0, row.failures))
            for rows in zip(*parts, strict=True)
        ]

    # Rules

    def configure(self, rules: Mapping[str, QueueRules], weights: Mapping[str, float]) -> None:
        """As of one store. Raises InvalidAdjustment when queues that share their limits are apart."""
        self._routing.check_shares(rules)
        parts = self._routing.parted(rules)
        for shard, store in self._shards.items():
            store.configure({queue: rules[queue] for queue in parts.get(shard, ())}, weights)

    def adjust(self, scope: Scope, changes: Mapping[str, object]) -> None:
        self._of(scope.queue).adjust(scope, changes)

    def adjustments(self) -> dict[Scope, dict[str, object]]:
        return {
            scope: changes
            for shard, store in self._shards.items()
            for scope, changes in store.adjustments().items()
            if self.shard_of(scope.queue) == shard
        }

    def process_rules(self, queues: Sequence[str]) -> dict[str, dict[str, object]]:
        found: dict[str, dict[str, object]] = {}
        for shard, its in self._routing.parted(queues).items():
            found |= self._shards[shard].process_rules(its)
        return found

    def rest(self, scope: Scope, for_ms: int, reason: str) -> None:
        self._of(scope.queue).rest(scope, for_ms, reason)

    def wake(self, scope: Scope) -> None:
        self._of(scope.queue).wake(scope)

    # Operators

    def promote(self, job_ids: Sequence[str]) -> list[bool]:
        return self._first_true(job_ids, lambda store, ids: store.promote(ids))

    def set_priority(self, job_ids: Sequence[str], priority: int) -> list[bool]:
        return self._first_true(job_ids, lambda store, ids: store.set_priority(ids, priority))

    def cancel(self, job_ids: Sequence[str], reason: str = "") -> list[Cancelled]:
        return self._asked(
            job_ids,
            lambda store, numbers: store.cancel([job_ids[number] for number in numbers], reason),
            Cancelled.UNKNOWN,
        )

    def remove(self, job_ids: Sequence[str], ended_by: int | None = None) -> list[bool]:
        return self._first_true(job_ids, lambda store, ids: store.remove(ids, ended_by))

    def withdraw(self, job_ids: Sequence[str]) -> list[bool]:
        return self._first_true(job_ids, lambda store, ids: store.withdraw(ids))

    def retry_dead(
        self, job_ids: Sequence[str], ended_by: int | None = None, *, from_start: bool = False
    ) -> list[bool]:
        return self._first_true(
            job_ids, lambda store, ids: store.retry_dead(ids, ended_by, from_start=from_start)
        )

    def replace_payload(self, job_id: str, expected: bytes, payload: bytes) -> bool:
        return any(self._each(lambda store: store.replace_payload(job_id, expected, payload)))

    def drain(self, queue: str, *, delayed: bool = True, limit: int = 1000) -> int:
        return self._of(queue).drain(queue, delayed=delayed, limit=limit)

    def clean(
        self, queue: str, state: JobState, older_than_ms: int = 0, keep: int = 0, limit: int = 1000
    ) -> int:
        return self._of(queue).clean(queue, state, older_than_ms, keep, limit)

    def obliterate(self, queue: str, limit: int = 1000) -> int:
        return self._of(queue).obliterate(queue, limit)

    # Inspection

    def get(self, job_id: str) -> Job | None:
        return next((job for store in self._shards.values() if (job := store.get(job_id))), None)

    def standing(self, job_id: str) -> Standing | None:
        return next((found for store in self._shards.values() if (found := store.standing(job_id))), None)

    def list_jobs(self, queue: str, state: JobState, limit: int = 50, offset: int = 0) -> list[Job]:
        return self._of(queue).list_jobs(queue, state, limit, offset)

    def scan(
        self, queue: str, state: JobState, limit: int = 100, after: str = "", *, routed: bool = False
    ) -> tuple[list[Job], str | None]:
        """As of one store; what was routed to a dead-letter queue comes shard by shard."""
        if not routed:
            return self._of(queue).scan(queue, state, limit, after)
        return self._shard_by_shard(
            after, lambda store, inner: store.scan(queue, state, limit, inner, routed=True)
        )

    def scan_all(self, limit: int = 100, after: str = "") -> tuple[list[Job], str | None]:
        return self._shard_by_shard(after, lambda store, inner: store.scan_all(limit, inner))

    def _shard_by_shard(
        self, after: str, page: Callable[[JobStore, str], tuple[list[Job], str | None]]
    ) -> tuple[list[Job], str | None]:
        names = list(self._shards)
        shard, _, inner = after.partition(":") if after else (names[0], "", "")
        jobs, on = page(self._shards[shard], inner)
        if on is not None:
            return jobs, f"{shard}:{on}"
        later = names[names.index(shard) + 1 :]
        return jobs, f"{later[0]}:" if later else None

    def stats(self, queues: Sequence[str]) -> list[QueueStats]:
        """As of one store. Jobs of any shard may have been routed to a dead-letter queue."""
        rows = {shard: store.stats(queues) for shard, store in self._shards.items()}
        return [
            replace(
                rows[self.shard_of(queue)][number],
                dead_letters=sum(part[number].dead_letters for part in rows.values()),
            )
            for number, queue in enumerate(queues)
        ]

    def lanes(self, queue: str, lanes: Sequence[str] | None = None, limit: int = 100) -> list[LaneStats]:
        return self._of(queue).lanes(queue, lanes, limit)

    def workers(self) -> list[WorkerInfo]:
        """Each process once, as the shard has it that heard of it last, with the queues of all."""
        found: dict[str, list[WorkerInfo]] = {}
        for part in self._each(lambda store: store.workers()):
            for worker in part:
                found.setdefault(worker.owner, []).append(worker)
        return [_merged(entries) for entries in found.values()]

    def ping(self) -> None:
        self._each(lambda store: store.ping())

    # Retention

    def trim(self, retention: Mapping[str, Retention], limit: int = 1000) -> int:
        parts = self._routing.parted(retention)
        return sum(
            self._shards[shard].trim({queue: retention[queue] for queue in queues}, limit)
            for shard, queues in parts.items()
        )

    # Events

    def read_events(self, reader: str, consumer: str, limit: int = 500, block_ms: int = 0) -> EventBatch:
        return self._events.read(reader, consumer, limit, block_ms)

    def ack_events(self, reader: str, ids: Sequence[str]) -> None:
        self._events.acknowledge(reader, ids)

    def keep_readers(self, readers: Collection[str]) -> None:
        self._each(lambda store: store.keep_readers(readers))

    def close(self) -> None:
        self._each(lambda store: store.close())

    # Inside

    def _of(self, queue: str) -> JobStore:
        return self._shards[self.shard_of(queue)]

    def _without_foreign(self, verdict: Verdict) -> Verdict:
        job = self.get(verdict.id)
        home = job and self.shard_of(job.queue)
        foreign = [new for new in verdict.follow if self.shard_of(new.queue) != home]
        self.enqueue(foreign if job else ())
        return verdict._replace(follow=tuple(new for new in verdict.follow if new not in foreign))

    def _each(self, verb: Callable[[JobStore], R]) -> list[R]:
        """Do it on every shard, also when one is away; then raise the first error."""
        answers: list[R] = []
        first: CallboardError | None = None
        for store in self._shards.values():
            try:
                answers.append(verb(store))
            except CallboardError as error:
                first = first or error
        if first is not None:
            raise first
        return answers

    def _asked(
        self, ids: Sequence[str], verb: Callable[[JobStore, list[int]], Sequence[R]], unknown: R
    ) -> list[R]:
        """Ask the shards in turn, each for those that none before knew."""
        answers = [unknown] * len(ids)
        for store in self._shards.values():
            left = [number for number, answer in enumerate(answers) if answer == unknown]
            if left:
                for number, answer in zip(left, verb(store, left), strict=True):
                    answers[number] = answer
        return answers

    def _first_true(
        self, ids: Sequence[str], verb: Callable[[JobStore, list[str]], Sequence[bool]]
    ) -> list[bool]:
        return self._asked(ids, lambda store, left: verb(store, [ids[number] for number in left]), False)


def _merged(entries: Sequence[WorkerInfo]) -> WorkerInfo:
    latest = max(entries, key=lambda entry: entry.seen_at)
    return replace(
        latest,
        queues=tuple(dict.fromkeys(queue for entry in entries for queue in entry.queues)),
        lease_until=min(entry.lease_until for entry in entries),
    )
