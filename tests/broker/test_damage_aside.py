"""Damage to what stands beside the lines (suspects, turns, delayed and settled jobs) costs itself only."""

from collections.abc import Iterator

import msgpack
import pytest
import redis

from broker.redis.connection import RedisAddress
from broker.redis.records import ATTEMPTS
from broker.redis.redis_store import RedisStore
from jobs.model import Outcome, Settled
from jobs.states import JobState
from tests.broker.census import check_census
from tests.contract.clock import Clock, redis_store_with
from tests.contract.steps import (
    LONG_MS,
    QUEUE,
    a_job,
    a_worker,
    count,
    fetch,
    ids,
    lose,
    rules,
    settle,
    some_jobs,
    state_of,
    take,
)

SEP = "\x1f"
GARBAGE = [b"\xc1garbage", b"garbage"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(redis_address: RedisAddress, namespace: str, clock: Clock) -> Iterator[RedisStore]:
    store = redis_store_with(clock, redis_address, namespace)
    yield store
    check_census(redis_address, store.keys, clock.now)
    store.close()


def test_a_suspect_of_a_queue_whose_rules_cannot_be_read_stays_and_others_run(
    store: RedisStore, clock: Clock, client: "redis.Redis"
) -> None:
    both = (QUEUE, "reports")
    store.enqueue([a_job("bad"), a_job("good", queue="reports")])
    fetch(store, "dead", queues=both, lease_ms=10_000)
    lose(store, clock, "dead")
    client.hset(store.keys.of("policies"), f"q{SEP}{QUEUE}", GARBAGE[0])
    settle(store, take(store, queues=both, credits=9))
    assert state_of(store, "good") is JobState.COMPLETED
    assert fetch(store, queues=both).jobs == []
    rules(store)
    assert ids(fetch(store, queues=both)) == ["bad"]


def test_a_suspect_whose_record_makes_no_sense_becomes_a_dead_letter(
    store: RedisStore, clock: Clock, client: "redis.Redis"
) -> None:
    store.enqueue([a_job("bad")])
    take(store, "dead", lease_ms=10_000)
    lose(store, clock, "dead")
    store.enqueue([a_job("other")])
    meta = store.keys.of("meta")
    fields = msgpack.unpackb(client.hget(meta, "bad"))
    fields[ATTEMPTS] = "many"
    client.hset(meta, "bad", msgpack.packb(fields))
    assert fetch(store).jobs == []
    assert (state_of(store, "bad"), ids(fetch(store))) == (JobState.FAILED, ["other"])


@pytest.mark.parametrize("fault", GARBAGE)
def test_turns_that_cannot_be_read_stop_neither_settling_nor_leaving_nor_recovery(
    store: RedisStore, clock: Clock, client: "redis.Redis", fault: bytes
) -> None:
    store.enqueue(some_jobs("s", 2))
    fetch(store, "dead", lease_ms=10_000)
    lose(store, clock, "dead")
    suspect = take(store, credits=2)

    def damage() -> None:
        for field in ("\x1falone", "\x1fwatch"):
            client.hset(store.keys.of("turns"), field, fault)

    damage()
    assert settle(store, suspect) is Settled.STORED
    damage()
    second = take(store, credits=2)
    damage()
    assert settle(store, second, Outcome.RETURNED, delay_ms=1_000) is Settled.STORED
    damage()
    store.leave("worker-1")
    clock.advance(1_000)
    damage()
    take(store, "killed", lease_ms=10_000)
    damage()
    assert lose(store, clock, "killed") == 1


def test_of_delayed_jobs_that_cannot_be_read_the_others_are_counted_once_a_call(
    store: RedisStore, clock: Clock, client: "redis.Redis"
) -> None:
    store.enqueue(some_jobs("later", 5, lane="acme", delay_ms=10**6))
    store.enqueue(some_jobs("bad", 50, lane="acme", delay_ms=1_000))
    for n in range(50):
        client.hset(store.keys.of("jobs"), f"bad{n:03}", GARBAGE[0])
    clock.advance(1_000)
    client.config_resetstat()
    assert fetch(store).jobs == []
    assert client.info("commandstats")["cmdstat_hscan"]["calls"] == 1
    assert (count(store).delayed, count(store).failed) == (5, 50)


def test_a_settled_job_that_cannot_be_read_is_cleaned_no_sooner_than_others(
    store: RedisStore, clock: Clock, client: "redis.Redis"
) -> None:
    store.register(a_worker("worker-1"), LONG_MS)
    store.enqueue([a_job("bad")])
    settle(store, take(store))
    ended = clock.now
    client.hset(store.keys.of("meta"), "bad", GARBAGE[0])
    clock.advance(1_000)
    assert store.clean(QUEUE, JobState.COMPLETED, older_than_ms=2_000) == 0
    assert count(store).completed == 1
    clock.advance(ended + 2_000 - clock.now)
    assert store.clean(QUEUE, JobState.COMPLETED, older_than_ms=2_000) == 1


def test_nor_before_its_event_was_read(store: RedisStore, client: "redis.Redis") -> None:
    store.read_events("audit", "a")
    store.enqueue([a_job("bad")])
    settle(store, take(store), Outcome.FAILED)
    client.hset(store.keys.of("meta"), "bad", GARBAGE[0])
    assert store.clean(QUEUE, JobState.FAILED) == 0
    store.ack_events("audit", [event.id for event in store.read_events("audit", "a").events])
    assert store.clean(QUEUE, JobState.FAILED) == 1
