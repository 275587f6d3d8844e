"""The job store on Redis: each verb is one script of `lua/`. One shard."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import orjson
from redis.client import PubSub

from broker.redis.connection import RedisAddress
from broker.redis.event_stream import EventStream
from broker.redis.keys import Keys
from broker.redis.link import BLOCK_LONGEST_MS, Link
from broker.redis.records import pack_job, pack_verdict, pack_worker, unpack_fetched
from broker.redis.redis_limits import RedisLimits
from broker.redis.redis_operators import RedisOperators
from broker.redis.scripts import Call, Lazily
from jobs.model import (
    LOG_ATTEMPTS,
    LOG_BYTES,
    Accepted,
    EventBatch,
    Fetched,
    FetchRequest,
    LogChunk,
    NewJob,
    Retention,
    Settled,
    Verdict,
    WorkerInfo,
)

#: Jobs and bytes of one run of the enqueue script, so that none holds the server for long, and how many runs
#: a round trip asks for: while the server works on one, the next is packed.
ENQUEUE_CHUNK, ENQUEUE_BYTES, ENQUEUE_RUNS = 250, 500_000, 4
TRIM_CHUNK = 1_000
#: Bytes of events that nobody has read at which enqueue is refused rather than events lost.
EVENTS_CAP_BYTES = 256 * 1024 * 1024
#: So many thousands of expired entries are cleared away in one call of `trim`, besides the jobs.
EXPIRED_CHUNKS = 100
#: Redis 6.2 rounds a millisecond down to 0, which means for ever.
BLOCK_SHORTEST_MS = 2
#: After the store was away for all, whoever lives has so long to renew before jobs are taken back.
GRACE_MS = 6_000
LEASE_LOST = orjson.dumps(
    {
        "error": {
            "type": "LeaseLost",
            "message": "the worker that held this job died or was cut off, and the job may not run again",
        }
    }
)

_ANSWERS = {0: Settled.REFUSED, 1: Settled.STORED, 2: Settled.REPEATED}


class RedisStore(RedisOperators, RedisLimits):
    """Jobs of one shard. `find` is asked for the address at the first call, never at import.

    `events_cap` is in bytes. Safe to use from many threads; after a fork a child makes its own connections.
    """

    def __init__(
        self,
        find: Callable[[], RedisAddress],
        namespace: str = "callboard",
        shard: str = "main",
        events_cap: int = EVENTS_CAP_BYTES,
    ) -> None:
        self.keys = Keys(namespace, shard)
        super().__init__(Link(find, self.keys))
        self._events = EventStream(self._link)
        self._events_cap = events_cap
        self._trim_cursors = [b"0", b"0"]
        self._signals: PubSub | None = None

    @property
    def address(self) -> RedisAddress:
        return self._link.address

    # Producers

    def enqueue(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        if len(jobs) == 1:
            ((answer,),) = self._link.run_all((self._enqueuing(jobs),))
            return [_accepted(jobs[0].id, answer)]
        accepted: list[Accepted] = []
        chunks = _chunks(jobs)
        while trip := list(islice(chunks, ENQUEUE_RUNS)):
            replies = self._link.run_all(Lazily(self._enqueuing, trip))
            for chunk, reply in zip(trip, replies, strict=True):
                accepted += [_accepted(job.id, answer) for job, answer in zip(chunk, reply, strict=True)]
        return accepted

    def _enqueuing(self, jobs: Sequence[NewJob]) -> Call:
        numbers: dict[str, int] = {}
        argv: list[Any] = [self._events_cap]
        for job in jobs:
            argv += pack_job(job, numbers.setdefault(job.queue, len(numbers) + 1))
        return "enqueue", argv, [self.keys.wake(queue) for queue in numbers]

    # Workers

    def fetch(self, request: FetchRequest) -> Fetched:
        return _fetched(self._link.run("fetch", _fetch_argv(request)))

    def settle(self, owner: str, verdicts: Sequence[Verdict]) -> list[Settled]:
        if not verdicts:
            return []
        reply = self._link.run("settle", [owner, *map(pack_verdict, verdicts)])
        settled, woken = _settled(reply, len(verdicts))
        if woken:
            self.offer(woken)
        return settled

    def settle_and_fetch(
        self, verdicts: Sequence[Verdict], request: FetchRequest
    ) -> tuple[list[Settled], Fetched]:
        if not verdicts:
            return [], self.fetch(request)
        reply, answer = self._link.run_all(
            [
                ("settle", [request.owner, *map(pack_verdict, verdicts)], ()),
                ("fetch", _fetch_argv(request), ()),
            ]
        )
        settled, woken = _settled(reply, len(verdicts))
        return settled, _fetched(answer).with_woken(request, woken)

    def open_group(self, group: str, size: int, ttl_ms: int) -> bool:
        return bool(self._link.run("open_group", [group, size, ttl_ms]))

    def arrive(self, group: str, job_id: str) -> bool:
        return bool(self._link.run("arrive", [group, job_id]))

    def cached(self, queue: str, key: str) -> bytes | None:
        found: bytes | None = self._link.run("cached", [key])
        return found

    def clear_cache(self, prefix: str, limit: int = 1000) -> int:
        return int(self._link.run("clear_cache", [prefix, limit]))

    def owned(self, owner: str) -> dict[str, int]:
        reply = self._link.run("owned", [owner])
        return {reply[i].decode(): reply[i + 1] for i in range(0, len(reply), 3)}

    def register(self, worker: WorkerInfo, lease_ms: int) -> bool:
        return bool(self._link.run("register", [worker.owner, lease_ms, pack_worker(worker)]))

    def renew(self, owner: str, lease_ms: int) -> bool:
        return bool(self._link.run("renew", [owner, lease_ms]))

    def reclaim(self, max_lost: int, limit: int = 100) -> int:
        count, *queues = self._link.run("reclaim", [max_lost, limit, LEASE_LOST, GRACE_MS])
        if queues:
            self.offer(queue.decode() for queue in queues)
        return int(count)

    def leave(self, owner: str) -> None:
        most, count, queues = 500, 500, set[bytes]()
        while count == most:
            count, *more = self._link.run("leave", [owner, most])
            queues.update(more)
        if queues:
            self.offer(queue.decode() for queue in queues)

    def report_progress(self, owner: str, updates: Mapping[str, tuple[int, bytes]]) -> None:
        if updates:
            parts = [part for job_id, update in updates.items() for part in (job_id, *update)]
            self._link.run("report_progress", [owner, *parts])

    def save_step(
        self, owner: str, job_id: str, token: int, name: str, outcome: bytes, *, lasting: bool = False
    ) -> bool:
        return bool(self._link.run("save_step", [owner, job_id, token, int(lasting), name, outcome]))

    def add_log(self, owner: str, chunks: Sequence[LogChunk]) -> None:
        if chunks:
            parts = [part for chunk in chunks for part in chunk]
            self._link.run("add_log", [owner, LOG_BYTES, LOG_ATTEMPTS, *parts])

    # Wake-up

    def wait_for_work(self, queues: Collection[str], timeout_ms: int) -> str | None:
        names = {self.keys.wake(queue).encode(): queue for queue in queues}
        seconds = min(max(timeout_ms, BLOCK_SHORTEST_MS), BLOCK_LONGEST_MS) / 1000
        with self._link.talking() as opened:
            woken: Any = opened.blocking.blpop(list(names), timeout=seconds)
        return names[woken[0]] if woken else None

    def offer(self, queues: Iterable[str]) -> int:
        wakes = [self.keys.wake(queue) for queue in queues]
        return int(self._link.run("offer", (), wakes)) if wakes else 0

    def listen(self, heard: Callable[[str], None], joined: Callable[[], None], timeout_ms: int) -> None:
        with self._link.talking() as opened:
            if self._signals is None:
                signals: PubSub = opened.blocking.pubsub()  # type: ignore[no-untyped-call]
                signals.subscribe(self.keys.signals)
                self._signals = signals
            try:
                message = self._signals.get_message(timeout=min(timeout_ms, BLOCK_LONGEST_MS) / 1000)
            except BaseException:
                signals, self._signals = self._signals, None
                signals.close()
                raise
        if message is None:
            return
        if message["type"] == "subscribe":
            joined()
        elif message["type"] == "message":
            heard(message["data"].decode())

    def cancels(self, owner: str) -> list[str]:
        reply = self._link.run("owned", [owner])
        return [reply[i].decode() for i in range(0, len(reply), 3) if reply[i + 2]]

    def ping(self) -> None:
        with self._link.talking() as opened:
            opened.client.ping()

    # Retention

    def trim(self, retention: Mapping[str, Retention], limit: int = 1000) -> int:
        removed, most, more, asleep = 0, 0, False, list[str]()
        while removed < limit and removed == most:
            most += min(limit - removed, TRIM_CHUNK)
            gone, more, asleep = self._trim_some(retention, most - removed)
            removed += gone
        for _ in range(EXPIRED_CHUNKS if more else 0):
            if not self._trim_some({}, 0)[1]:
                break
        self.reband(retention)
        self._rouse(asleep)
        return removed

    def _trim_some(self, retention: Mapping[str, Retention], limit: int) -> tuple[int, bool, list[str]]:
        """How many jobs were removed, whether more has expired than was cleared away, and the queues in which
        jobs rest for a rule that has changed: whoever was to wake them has died."""
        argv: list[Any] = [limit, *self._trim_cursors]
        for queue, keep in retention.items():
            most_failed = -1 if keep.failed_count is None else keep.failed_count
            argv += [queue, keep.completed_ms, keep.failed_ms, most_failed]
        removed, more, *self._trim_cursors, asleep = self._link.run("trim", argv)
        return int(removed), bool(more), [queue.decode() for queue in asleep]

    # Events

    def read_events(self, reader: str, consumer: str, limit: int = 500, block_ms: int = 0) -> EventBatch:
        return self._events.read(reader, consumer, limit, block_ms)

    def ack_events(self, reader: str, ids: Sequence[str]) -> None:
        self._events.acknowledge(reader, ids)

    def keep_readers(self, readers: Collection[str]) -> None:
        self._events.keep_readers(readers)

    def close(self) -> None:
        self._link.close()


def _chunks(jobs: Sequence[NewJob]) -> Iterator[list[NewJob]]:
    chunk: list[NewJob] = []
    size = 0
    for job in jobs:
        if chunk and (len(chunk) == ENQUEUE_CHUNK or size + len(job.payload) > ENQUEUE_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(job)
        size += len(job.payload)
    if chunk:
        yield chunk


def _accepted(job_id: str, answer: int | bytes) -> Accepted:
    if not isinstance(answer, bytes):
        return Accepted(job_id, bool(answer))
    text = answer.decode()
    if text.startswith("("):
        return Accepted(job_id, True, text[1:-1])
    return Accepted(text, False)


def _fetch_argv(request: FetchRequest) -> list[str | int]:
    shares = "".join([f" {queue}={most}" for queue, most in request.queues.items()])
    return [
        request.owner,
        request.token,
        request.credits,
        request.ahead,
        int(request.busy),
        request.lease_ms,
        shares,
    ]


def _fetched(reply: list[Any]) -> Fetched:
    now, due, more, suspect, watch = reply[:5]
    jobs = [unpack_fetched(*reply[i : i + 3]) for i in range(5, len(reply), 3)]
    return Fetched(
        jobs,
        now,
        None if due < 0 else due,
        tuple([queue.decode() for queue in more]),
        bool(suspect),
        watch.decode() or None,
    )


def _settled(reply: list[Any], verdicts: int) -> tuple[list[Settled], list[str]]:
    """The answers to so many verdicts, and the queues in which something woke."""
    return [_ANSWERS[answer] for answer in reply[:verdicts]], [queue.decode() for queue in reply[verdicts:]]
