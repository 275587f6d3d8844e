"""The job store on Redis: each verb is one script of `lua/`."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import orjson
import redis
from redis.exceptions import OutOfMemoryError, ResponseError

from broker.connection import TRIES_AGAIN, RedisAddress, connect, plain_errors
from broker.keys import Keys
from broker.records import (
    pack_job,
    pack_verdict,
    pack_worker,
    unpack_event,
    unpack_fetched,
    unpack_job,
    unpack_stats,
    unpack_worker,
)
from broker.scripts import Scripts
from broker.wire import Wire
from jobs.errors import StoreUnavailable
from jobs.model import (
    Accepted,
    EventBatch,
    Fetched,
    FetchRequest,
    Job,
    NewJob,
    QueueStats,
    Retention,
    Settled,
    Verdict,
    WorkerInfo,
)
from jobs.states import JobState
from jobs.store import JobStore

#: Jobs and bytes of one enqueue call, so that no script holds the server for long.
ENQUEUE_CHUNK, ENQUEUE_BYTES = 500, 1_000_000
#: Attempts in the event stream at which enqueue is refused rather than events lost.
EVENTS_CAP = 2_000_000
#: A reader that keeps events longer than this is taken for dead; another takes them over.
READER_IDLE_MS = 30_000
BLOCK_LONGEST_MS = 4_000
#: What Redis says of a stream or group that was there a moment ago.
STREAM_GONE = ("NOGROUP", "UNBLOCKED", "no such key")

_ANSWERS = {0: Settled.REFUSED, 1: Settled.STORED, 2: Settled.REPEATED}
_SETS = {
    JobState.WAITING: "waiting",
    JobState.DELAYED: "delayed",
    JobState.ACTIVE: "active",
    JobState.COMPLETED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}


class RedisStore(JobStore):
    """Jobs of one shard. `find` is asked for the address at the first call, never at import.

    Safe to use from many threads. After a fork the connections of the parent are left alone.
    """

    def __init__(
        self, find: Callable[[], RedisAddress], namespace: str = "callboard", shard: str = "main"
    ) -> None:
        self.keys = Keys(namespace, shard)
        self._find = find
        self._opened: _Opened | None = None
        self._in_doubt = False
        self._readers: set[str] = set()

    @property
    def address(self) -> RedisAddress:
        return self._open().address

    # Producers

    def enqueue(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        accepted: list[Accepted] = []
        for chunk in _chunks(jobs):
            numbers: dict[str, int] = {}
            packed = [pack_job(job, numbers.setdefault(job.queue, len(numbers) + 1)) for job in chunk]
            reply = self._run("enqueue", [EVENTS_CAP, *packed], [self.keys.wake(queue) for queue in numbers])
            accepted += [Accepted(job.id, bool(created)) for job, created in zip(chunk, reply, strict=True)]
        return accepted

    # Workers

    def fetch(self, request: FetchRequest) -> Fetched:
        return _fetched(self._run("fetch", _fetch_argv(request)))

    def settle(self, owner: str, verdicts: Sequence[Verdict]) -> list[Settled]:
        if not verdicts:
            return []
        return _settled(self._run("settle", [owner, *map(pack_verdict, verdicts)]))

    def settle_and_fetch(
        self, verdicts: Sequence[Verdict], request: FetchRequest
    ) -> tuple[list[Settled], Fetched]:
        if not verdicts:
            return [], self.fetch(request)
        with self._talking() as opened:
            settled, fetched = opened.scripts.run_all(
                [
                    ("settle", [request.owner, *map(pack_verdict, verdicts)], ()),
                    ("fetch", _fetch_argv(request), ()),
                ]
            )
        return _settled(settled), _fetched(fetched)

    def owned(self, owner: str) -> dict[str, int]:
        with self._talking() as opened:
            members: list[Any] = opened.client.zrangebylex(
                self.keys.of("held"), f"[{owner}\x1f", f"({owner}\x20"
            )
        jobs = self._read("get", [member.rpartition(b"\x1f")[2] for member in members])
        return {job.id: job.deliveries for job in jobs if job.owner == owner}

    def register(self, worker: WorkerInfo, lease_ms: int) -> None:
        self._run("register", [worker.owner, lease_ms, pack_worker(worker)])

    def renew(self, owner: str, lease_ms: int) -> bool:
        return bool(self._run("renew", [owner, lease_ms]))

    def reclaim(self, max_lost: int, limit: int = 100) -> int:
        reason = orjson.dumps({"error": {"type": "LeaseLost", "message": LEASE_LOST}})
        count, *queues = self._run("reclaim", [max_lost, limit, reason])
        if queues:
            self.wake(queue.decode() for queue in queues)
        return int(count)

    def leave(self, owner: str) -> None:
        most, count, queues = 500, 500, set[bytes]()
        while count == most:
            count, *more = self._run("leave", [owner, most])
            queues.update(more)
        if queues:
            self.wake(queue.decode() for queue in queues)

    def report_progress(self, updates: Mapping[str, bytes]) -> None:
        if updates:
            self._run("report_progress", [part for update in updates.items() for part in update])

    # Wake-up

    def wait_for_work(self, queues: Collection[str], timeout_ms: int) -> str | None:
        names = {self.keys.wake(queue).encode(): queue for queue in queues}
        with self._talking() as opened:
            woken: Any = opened.blocking.blpop(list(names), timeout=min(timeout_ms, BLOCK_LONGEST_MS) / 1000)
        return names[woken[0]] if woken else None

    def wake(self, queues: Iterable[str]) -> int:
        return int(self._run("wake", (), [self.keys.wake(queue) for queue in queues]))

    # Inspection

    def get(self, job_id: str) -> Job | None:
        found = self._read("get", [job_id])
        return found[0] if found else None

    def list_jobs(self, queue: str, state: JobState, limit: int = 50, offset: int = 0) -> list[Job]:
        if state not in _SETS:
            return []
        return self._read("list", [queue, offset, limit, int(state.settled)], [self.keys.of(_SETS[state])])

    def stats(self, queues: Sequence[str]) -> list[QueueStats]:
        rows = self._run("stats", queues) if queues else []
        return [unpack_stats(queue, row) for queue, row in zip(queues, rows, strict=True)]

    def workers(self) -> list[WorkerInfo]:
        with self._talking() as opened:
            pipeline = opened.client.pipeline(transaction=True)
            pipeline.hgetall(self.keys.of("workers"))
            pipeline.zrange(self.keys.of("leases"), 0, -1, withscores=True)
            pipeline.time()
            infos, leases, (seconds, micros) = pipeline.execute()
        now = seconds * 1000 + micros // 1000
        alive = [(owner, int(until)) for owner, until in leases if until > now and owner in infos]
        return [unpack_worker(infos[owner], until) for owner, until in alive]

    def ping(self) -> None:
        with self._talking() as opened:
            opened.client.ping()

    # Retention

    def trim(self, retention: Mapping[str, Retention], limit: int = 1000) -> int:
        rules = [(queue, keep.completed_ms, keep.failed_ms) for queue, keep in retention.items()]
        return int(self._run("trim", [limit, *(part for rule in rules for part in rule)]))

    def flush(self, queue: str) -> int:
        removed, chunk = 0, -1
        while chunk:
            chunk = int(self._run("flush", [queue, 1000]))
            removed += chunk
        return removed

    # Events

    def read_events(self, reader: str, consumer: str, limit: int = 500, block_ms: int = 0) -> EventBatch:
        stream = self.keys.of("events")
        with self._talking() as opened:
            self._join(opened.client, stream, reader)
            try:
                left_behind = opened.client.xautoclaim(
                    stream, reader, consumer, min_idle_time=READER_IDLE_MS, start_id="0-0", count=limit
                )[1]
                entries = left_behind or self._next(
                    opened.blocking, stream, reader, consumer, limit, block_ms
                )
                groups = {group["name"]: group for group in opened.client.xinfo_groups(stream)}
            except ResponseError as error:
                if not str(error).startswith(STREAM_GONE):
                    raise
                self._readers.discard(reader)  # the server lost its data; the group is made anew next time
                return EventBatch()
        group = groups.get(reader.encode(), {})
        lag = int(group.get("lag") or 0) + int(group.get("pending") or 0)
        return EventBatch([unpack_event(entry_id, fields[b"e"]) for entry_id, fields in entries], lag)

    def ack_events(self, reader: str, ids: Sequence[str]) -> None:
        if ids:
            self._run("ack_events", [reader, *ids])

    def close(self) -> None:
        if self._opened:
            opened, self._opened = self._opened, None
            opened.wire.close()
            opened.client.close()
            opened.blocking.close()

    # Inside

    @contextmanager
    def _talking(self) -> Iterator["_Opened"]:
        """The connections, and errors in our words. After one the address is looked up again."""
        opened = self._open()
        try:
            with plain_errors(opened.address):
                yield opened
        except StoreUnavailable:
            self._in_doubt = True
            raise

    def _open(self) -> "_Opened":
        if self._in_doubt and self._opened is not None:
            if self._find() != self._opened.address:
                self.close()
            self._in_doubt = False
        if self._opened is None:
            address = self._find()
            client = connect(address)
            # Blocking calls need a longer time-out than they block, and no repeats of their own.
            blocking = connect(address, socket_timeout=BLOCK_LONGEST_MS / 1000 + 2, tries_again=0)
            # Connecting is not tried again inside of a call that is: nine time-outs would be 15 s.
            wire = Wire(connect(address, tries_again=0), TRIES_AGAIN)
            self._opened = _Opened(address, client, blocking, wire, Scripts(wire, self.keys))
        return self._opened

    def _run(self, verb: str, argv: Sequence[Any] = (), more_keys: Sequence[str] = ()) -> Any:
        with self._talking() as opened:
            return opened.scripts.run(verb, argv, more_keys)

    def _read(self, verb: str, argv: Sequence[Any], more_keys: Sequence[str] = ()) -> list[Job]:
        reply = self._run(verb, argv, more_keys)
        return [unpack_job(*reply[i : i + 5]) for i in range(0, len(reply), 5)]

    def _join(self, client: redis.Redis, stream: str, reader: str) -> None:
        if reader in self._readers:
            return
        try:
            client.xgroup_create(stream, reader, id="0", mkstream=True)
        except OutOfMemoryError:
            return  # a full server makes no group, yet one that is there can be read, which makes room
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        self._readers.add(reader)

    def _next(
        self, blocking: redis.Redis, stream: str, reader: str, consumer: str, limit: int, block_ms: int
    ) -> list[tuple[bytes, dict[bytes, bytes]]]:
        wait = min(block_ms, BLOCK_LONGEST_MS) or None
        reply: Any = blocking.xreadgroup(reader, consumer, {stream: ">"}, count=limit, block=wait)
        entries: list[tuple[bytes, dict[bytes, bytes]]] = reply[0][1] if reply else []
        return entries


class _Opened(NamedTuple):
    """The connections to one address."""

    address: RedisAddress
    client: redis.Redis
    blocking: redis.Redis
    wire: Wire
    scripts: Scripts


LEASE_LOST = "the worker died or was cut off while it ran this job, and it may not run again"


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


def _fetch_argv(request: FetchRequest) -> list[str | int]:
    shares = "".join(
        f" {queue}={most}/{'-' if cap is None else cap}" for queue, (most, cap) in request.queues.items()
    )
    return [request.owner, request.token, request.credits, request.lease_ms, shares]


def _fetched(reply: list[Any]) -> Fetched:
    now, due, more = reply[0], reply[1], reply[2]
    jobs = [unpack_fetched(*reply[i : i + 3]) for i in range(3, len(reply), 3)]
    return Fetched(jobs, now, None if due < 0 else due, tuple(queue.decode() for queue in more))


def _settled(reply: list[int]) -> list[Settled]:
    return [_ANSWERS[answer] for answer in reply]
