"""What the Redis store remembers beyond its jobs has an end: rate logs, virtual times, run times, names."""

from collections.abc import Iterator

import pytest
import redis

from broker.redis.connection import RedisAddress
from broker.redis.redis_store import RedisStore
from jobs.model import Retention, UniqueMode
from jobs.rules import Rate
from tests.contract.clock import Clock, redis_store_with
from tests.contract.steps import QUEUE, a_job, fetch, rules, settle, take, unique

DAY_MS = 86_400_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(redis_address: RedisAddress, namespace: str, clock: Clock) -> Iterator[RedisStore]:
    store = redis_store_with(clock, redis_address, namespace)
    yield store
    store.close()


def trim(store: RedisStore) -> None:
    store.trim({QUEUE: Retention(completed_ms=1_000)})


def test_under_steady_load_a_rates_log_holds_its_window(
    store: RedisStore, clock: Clock, client: "redis.Redis"
) -> None:
    rules(store, rate=Rate(10, 1_000))
    for number in range(200):
        store.enqueue([a_job()])
        settle(store, take(store))
        clock.advance(500)
        if number % 20 == 0:
            trim(store)
    assert client.zcard(store.keys.of("starts")) <= 3


def test_the_last_starts_under_a_rate_are_forgotten_with_their_window(
    store: RedisStore, clock: Clock, client: "redis.Redis"
) -> None:
    rules(store, rate=Rate(5_000, 1_000))
    store.enqueue([a_job() for _ in range(2_500)])
    fetch(store, credits=2_500, each=2_500)
    clock.advance(2_000)
    trim(store)
    assert client.zcard(store.keys.of("starts")) == 0


def test_tenants_and_gates_that_have_gone_leave_no_clock(
    store: RedisStore, clock: Clock, client: "redis.Redis"
) -> None:
    for number in range(60):
        store.enqueue([a_job(lane=f"tenant-{number}"), a_job(lane="acme", gate=f"one:unique:a:{number}")])
        for job in fetch(store).jobs:
            settle(store, job, remove=True)
        clock.advance(10)
    trim(store)
    assert client.hlen(store.keys.of("clocks")) == 1  # the band's
    assert client.zcard(store.keys.of("gates")) == 0


def test_what_a_tenant_owes_is_kept_while_others_wait(store: RedisStore, client: "redis.Redis") -> None:
    store.enqueue([a_job(lane="acme") for _ in range(3)])
    fetch(store, credits=3)
    store.enqueue([a_job(lane="beta")])
    before = client.hlen(store.keys.of("clocks"))
    trim(store)
    assert client.hlen(store.keys.of("clocks")) == before


def test_a_line_without_jobs_remembers_nothing_of_its_priorities(
    store: RedisStore, client: "redis.Redis"
) -> None:
    rules(store, priority_scope="lane")
    store.enqueue([a_job("one", priority=1), a_job("two", priority=9)])
    settle(store, take(store), remove=True)
    store.enqueue([a_job("three", priority=1)])
    settle(store, take(store), remove=True)
    assert client.hexists(store.keys.of("turns"), f"{QUEUE}\x1f00\x1f")
    store.remove(["two"])
    trim(store)
    assert not client.hexists(store.keys.of("turns"), f"{QUEUE}\x1f00\x1f")


def test_the_usual_run_time_of_a_tenant_that_has_gone_is_forgotten(
    store: RedisStore, clock: Clock, client: "redis.Redis"
) -> None:
    rules(store, fairness="time")
    store.enqueue([a_job(lane="acme")])
    settle(store, take(store))
    clock.advance(6 * DAY_MS)
    trim(store)
    assert client.hlen(store.keys.of("costs")) == 1
    clock.advance(2 * DAY_MS)
    trim(store)
    assert client.hlen(store.keys.of("costs")) == 0


def test_however_many_names_have_expired_one_trim_clears_them_away(
    store: RedisStore, clock: Clock, client: "redis.Redis"
) -> None:
    store.enqueue([a_job(unique=unique(UniqueMode.THROTTLE, 1_000, str(n))) for n in range(3_500)])
    clock.advance(10_000)
    trim(store)
    assert client.hlen(store.keys.of("unique")) == 0
    assert client.zcard(store.keys.of("expiries")) == 0


@pytest.mark.parametrize("held_back_by", ["lanes' rate", "gates' rate", "a lane's cap"])
def test_one_call_does_little_however_many_lines_may_not_run(
    store: RedisStore, client: "redis.Redis", held_back_by: str
) -> None:
    """Commands inside the scripts are counted, which no busy machine makes more."""
    if held_back_by == "lanes' rate":
        rules(store, lane_rate=Rate(1, DAY_MS))
        store.enqueue([a_job(lane=f"t{n}") for n in range(2_000) for _ in range(2)])
        fetch(store, credits=2_000, each=2_000)
    elif held_back_by == "gates' rate":
        rules(store, gate_rate=Rate(1, DAY_MS))
        store.enqueue([a_job(lane="acme", gate=f"g{n}") for n in range(2_000) for _ in range(2)])
        fetch(store, credits=2_000, each=2_000)
    else:
        rules(store, lane_concurrency=1)
        store.enqueue([a_job(lane="acme", gate=f"g{n}") for n in range(2_000)])
    job = fetch(store, credits=1, each=1).jobs
    before = calls(client)
    fetch(store)
    if job:
        settle(store, job[0])
    fetch(store)
    assert calls(client) - before < 6_000


def calls(client: "redis.Redis") -> int:
    return sum(row["calls"] for row in client.info("commandstats").values())
