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
from jobs.model import (
    Accepted,
    Cancelled,
    EventBatch,
    Fetched,
    FetchRequest,
    Job,
    LaneStats,
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
        """Ask the shards in turn: one that does not know a delivery refuses it."""
        return self._asked(
            [verdict.id for verdict in verdicts],
            lambda store, numbers: store.settle(owner, [verdicts[number] for number in numbers]),
            Settled.REFUSED,
        )

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

    # Wake-up

    def wait_for_work(self, queues: Collection[str], timeout_ms: int) -> str | None:
        return self._shards[self._routing.only(queues)].wait_for_work(queues, timeout_ms)

    def offer(self, queues: Iterable[str]) -> int:
        return sum(self._shards[shard].offer(names) for shard, names in self._routing.parted(queues).items())

    def listen(self, heard: Callable[[str], None], joined: Callable[[], None], timeout_ms: int) -> None:
        self._shards[self._routing.only(self._routing.queues)].listen(heard, joined, timeout_ms)

    def cancels(self, owner: str) -> list[str]:
        return [job for part in self._each(lambda store: store.cancels(owner)) for job in part]

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

    def remove(self, job_ids: Sequence[str]) -> list[bool]:
        return self._first_true(job_ids, lambda store, ids: store.remove(ids))

    def retry_dead(self, job_ids: Sequence[str], ended_by: int | None = None) -> list[bool]:
        return self._first_true(job_ids, lambda store, ids: store.retry_dead(ids, ended_by))

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
        names = list(self._shards)
        shard, _, inner = after.partition(":") if after else (names[0], "", "")
        jobs, on = self._shards[shard].scan(queue, state, limit, inner, routed=True)
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
