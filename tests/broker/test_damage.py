"""What is damaged costs itself only: its neighbours run, and what it held is free again."""

import uuid

import msgpack
import pytest
import redis

from broker.redis.redis_store import RedisStore
from jobs.model import FetchRequest, NewJob, Outcome, Scope, Settled, Unique, UniqueMode, Verdict, WorkerInfo
from jobs.rules import QueueRules
from jobs.states import JobState
from tests.broker.census import census_with
from tests.waiting import eventually

QUEUE, VIP, LANE = "reports", "vip", "acme"
SEP = "\x1f"
MINE = Unique("invoice-7", UniqueMode.UNTIL_FINISHED)


def new(job_id: str, queue: str = QUEUE, **changes: object) -> NewJob:
    return NewJob(job_id, queue, "reports", b"{}")._replace(**changes)


def take(store: RedisStore, credits: int = 10, owner: str = "w", lease_ms: int = 60_000) -> list[str]:
    rooms = {VIP: 10, QUEUE: 10}
    fetched = store.fetch(FetchRequest(owner, uuid.uuid4().hex, credits, rooms, lease_ms))
    return [job.id for job in fetched.jobs]


def failed(store: RedisStore) -> list[str]:
    return sorted(job.id for job in store.list_jobs(QUEUE, JobState.FAILED))


def counters(client: "redis.Redis", store: RedisStore, name: str) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = client.hgetall(store.keys.of(name))  # type: ignore[assignment]
    return found


# A line, a queue


def test_a_line_that_counts_jobs_that_are_not_there_is_mended(
    store: RedisStore, client: "redis.Redis"
) -> None:
    store.configure({QUEUE: QueueRules(priority=9), VIP: QueueRules(priority=1)}, {})
    store.enqueue([new("gone"), new("good", lane=LANE), *[new(f"v{n}", VIP) for n in range(3)]])
    (place,) = (m for m in client.zrange(store.keys.of("waiting"), 0, -1) if m.endswith(b"gone"))
    client.zrem(store.keys.of("waiting"), place)

    assert sorted(take(store)) == ["good", "v0", "v1", "v2"]
    store.enqueue([new("next")])
    assert take(store) == ["next"]


@pytest.mark.parametrize(
    ("key", "field"),
    [("lines", f"{QUEUE}{SEP}05{SEP}{LANE}"), ("clocks", f"{QUEUE}{SEP}05"), ("turns", QUEUE)],
)
def test_whatever_is_wrong_with_a_queue_what_others_were_given_stays_given(
    store: RedisStore, client: "redis.Redis", key: str, field: str
) -> None:
    store.configure({QUEUE: QueueRules(priority=9), VIP: QueueRules(priority=1)}, {})
    store.enqueue([new("bad", lane=LANE), new("low", priority=9), new("v0", VIP), new("v1", VIP)])
    client.hset(store.keys.of(key), field, b"\xc1garbage")

    first = take(store)

    assert {"v0", "v1"} <= set(first), "the good queue ran"
    assert set(store.owned("w")) == set(first), "what was given is held"
    taken = set(first)

    def all_have_run() -> bool:
        taken.update(take(store))
        return taken == {"bad", "low", "v0", "v1"}

    assert eventually(all_have_run)


@pytest.mark.parametrize("fault", [b"garbage", b"\xc1"])
def test_emptying_a_queue_with_an_unreadable_job_leaves_its_line_whole(
    store: RedisStore, client: "redis.Redis", fault: bytes
) -> None:
    store.enqueue([new("bad"), new("good"), new("later", delay_ms=10**6), new("broken", delay_ms=10**6)])
    for job_id in ("bad", "broken"):
        client.hset(store.keys.of("jobs"), job_id, fault)

    assert store.drain(QUEUE) == 2

    assert (failed(store), store.stats([QUEUE])[0].waiting) == (["bad", "broken"], 0)
    census_with(client, store.keys, None)
    store.enqueue([new("next")])
    assert take(store) == ["next"]
    assert store.clean(QUEUE, JobState.FAILED) == 2


def test_a_settled_job_that_cannot_be_read_can_be_cleaned(store: RedisStore, client: "redis.Redis") -> None:
    store.enqueue([new("one")])
    take(store)
    store.settle("w", [Verdict("one", 1, Outcome.FAILED)])
    client.hset(store.keys.of("meta"), "one", b"garbage")
    assert store.clean(QUEUE, JobState.FAILED) == 1
    assert store.stats(["dead-letter"])[0].dead_letters == 0
    census_with(client, store.keys, None)
    assert counters(client, store, "tally") == {}


# What it held


def let_go_by_reclaim(store: RedisStore) -> None:
    assert eventually(lambda: store.reclaim(max_lost=3) == 1)


def let_go_by_leave(store: RedisStore) -> None:
    store.leave("dead")


def let_go_by_settle(store: RedisStore) -> None:
    assert store.settle("dead", [Verdict("bad", 1, Outcome.COMPLETED)]) == [Settled.REFUSED]


@pytest.mark.parametrize("let_go", [let_go_by_reclaim, let_go_by_leave, let_go_by_settle])
@pytest.mark.parametrize("lost", ["meta", "both"])
@pytest.mark.parametrize("share", ["", "mail"])
def test_an_active_job_that_cannot_be_read_gives_its_places_back(
    store: RedisStore, client: "redis.Redis", let_go: object, lost: str, share: str
) -> None:
    store.configure({queue: QueueRules(global_concurrency=1, share=share) for queue in (QUEUE, VIP)}, {})
    # Whose a job is, and what it holds, only its record or its creation say.
    marks = {"lane": LANE, "gate": "one:import", "unique": MINE} if lost == "meta" else {}
    store.enqueue([new("bad", **marks)])  # type: ignore[arg-type]
    assert take(store, owner="dead", lease_ms=1) == ["bad"]
    store.enqueue([new("next")])
    assert take(store) == []
    for name in ("meta", "jobs") if lost == "both" else ("meta",):
        client.hset(store.keys.of(name), "bad", b"garbage")

    let_go(store)  # type: ignore[operator]

    assert (failed(store), take(store)) == (["bad"], ["next"])
    running = {f"q{SEP}{QUEUE}".encode(), f"l{SEP}{QUEUE}{SEP}".encode()}
    running |= {f"s{SEP}{share}".encode()} if share else set()
    assert set(counters(client, store, "running")) == running
    assert counters(client, store, "unique") == {}
    assert store.owned("dead") == {}
    if lost == "meta":
        census_with(client, store.keys, None)


def test_a_job_held_by_itself_that_cannot_be_read_becomes_a_dead_letter_when_its_time_comes(
    store: RedisStore, client: "redis.Redis"
) -> None:
    store.enqueue([new("bad", lane=LANE), new("neighbour")])
    take(store)
    store.settle(
        "w", [Verdict(job_id, 1, Outcome.HELD, delay_ms=1, reason="busy") for job_id in ("bad", "neighbour")]
    )
    client.hset(store.keys.of("meta"), "bad", b"garbage")
    assert eventually(lambda: take(store) == ["neighbour"])
    assert failed(store) == ["bad"]
    stats = store.lanes(QUEUE, [LANE])[0]
    assert (stats.waiting, stats.resting, stats.failed) == (0, 0, 1)
    census_with(client, store.keys, None)


def test_a_delayed_job_that_cannot_be_read_is_not_counted_any_more(
    store: RedisStore, client: "redis.Redis"
) -> None:
    store.enqueue([new("bad", lane=LANE, delay_ms=1), new("good", lane=LANE, delay_ms=10**6)])
    store.enqueue([new("alone", lane="zeta", delay_ms=1)])
    for job_id in ("bad", "alone"):
        client.hset(store.keys.of("jobs"), job_id, b"garbage")

    def both_are_set_aside() -> bool:
        take(store)
        return failed(store) == ["alone", "bad"]

    assert eventually(both_are_set_aside)
    assert [lane.delayed for lane in store.lanes(QUEUE, [LANE, "zeta"])] == [1, 0]
    census_with(client, store.keys, None)


def test_lists_pass_over_what_cannot_be_read(store: RedisStore, client: "redis.Redis") -> None:
    store.enqueue([new("bad"), new("good")])
    take(store)
    client.hset(store.keys.of("meta"), "bad", b"garbage")
    assert store.get("bad") is None
    assert [job.id for job in store.list_jobs(QUEUE, JobState.ACTIVE)] == ["good"]
    assert [job.id for job in store.scan(QUEUE, JobState.ACTIVE)[0]] == ["good"]


# Of another release, or gone


def test_a_record_of_a_newer_release_runs_and_keeps_its_fields(
    store: RedisStore, client: "redis.Redis"
) -> None:
    store.enqueue([new("one")])
    take(store)
    store.settle("w", [Verdict("one", 1, Outcome.RETURNED)])
    meta = store.keys.of("meta")
    fields = msgpack.unpackb(client.hget(meta, "one"), raw=True)
    client.hset(meta, "one", msgpack.packb([*fields, b"of the next release", 7], use_bin_type=False))

    assert take(store) == ["one"]
    store.settle("w", [Verdict("one", 2, Outcome.RETRY)])

    kept = msgpack.unpackb(client.hget(meta, "one"), raw=True)
    assert (kept[len(fields) :], store.get("one").attempts) == ([b"of the next release", 7], 1)  # type: ignore[union-attr]


def test_a_worker_learns_from_its_registration_that_the_server_lost_the_rules(
    store: RedisStore, client: "redis.Redis"
) -> None:
    worker = WorkerInfo("w", "host", 1, "0.1.0", 2, (QUEUE,), started_at=0)
    store.configure({QUEUE: QueueRules(global_concurrency=1)}, {})
    store.adjust(Scope(VIP), {"cap": 2})
    assert store.register(worker, 60_000) is True
    client.delete(*client.keys(f"{store.keys.namespace}:*"))
    store.adjust(Scope(VIP), {"cap": 2})
    assert store.register(worker, 60_000) is False


def test_events_of_a_stream_that_is_gone_can_be_acknowledged(
    store: RedisStore, client: "redis.Redis"
) -> None:
    store.read_events("audit", "a")
    store.enqueue([new("one")])
    store.cancel(["one"])
    events = store.read_events("audit", "a").events
    client.delete(store.keys.of("events"))
    store.ack_events("audit", [event.id for event in events])
    assert store.read_events("audit", "a").events == []
