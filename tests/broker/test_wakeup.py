"""Nobody polls and nobody waits: a job starts in milliseconds wherever a thread is free."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import redis

import broker.worker.exchange
import broker.worker.holdings
from broker.redis.connection import RedisAddress
from broker.redis.redis_store import RedisStore
from jobs.model import FetchRequest, Outcome, Scope, Verdict
from jobs.rules import QueueRules
from tests.broker.hands import Hands, a_job, at_work
from tests.waiting import eventually

SOON = 20.0  # nothing here is found by looking: that is once a minute


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listeners end with their test, and nothing here is found by polling."""
    monkeypatch.setattr("broker.worker.listener.BLOCK_MS", 300)
    monkeypatch.setattr(broker.worker.exchange, "POLL_S", 60.0)


@pytest.fixture
def idle(store: RedisStore) -> Iterator[Hands]:
    hands = Hands(store, ["q", "other"], threads=2)
    with at_work(hands, listening=True):
        eventually(lambda: hands.exchange.hungry.is_set())
        yield hands


def test_an_idle_worker_starts_a_job_within_a_tenth_of_a_second(idle: Hands, store: RedisStore) -> None:
    waits: list[float] = []
    for number in range(10):
        sent = time.monotonic()
        store.enqueue([a_job(str(number), "other")])
        eventually(lambda number=number: str(number) in idle.when, every=0.001)
        waits.append(idle.when[str(number)] - sent)
        idle.finish()
        eventually(lambda: idle.exchange.hungry.is_set(), every=0.001)
    assert sorted(waits)[2] < 0.1, waits  # a machine that is busy with other things delays many


def test_a_delayed_job_starts_when_it_falls_due(idle: Hands, store: RedisStore) -> None:
    store.enqueue([a_job("much later", delay_ms=600_000)])
    waits: list[float] = []
    for job_id in ("one", "two", "three"):
        sent = time.monotonic()
        store.enqueue([a_job(job_id, delay_ms=250)])
        waits.append(eventually(partial(idle.when.get, job_id, 0.0), every=0.001) - sent)
        idle.finish()
    assert min(waits) > 0.249
    assert sorted(waits)[0] < 0.35, waits


def test_a_wake_up_is_passed_on_when_the_threads_are_full(store: RedisStore) -> None:
    busy, free = Hands(store, threads=1), Hands(store, threads=1)
    with at_work(busy, listening=True):
        eventually(lambda: busy.exchange.hungry.is_set())
        store.enqueue([a_job("first")])
        eventually(lambda: busy.ids == ["first"])
        with at_work(free, listening=True):
            eventually(lambda: free.exchange.hungry.is_set())
            store.enqueue([a_job("second")])
            eventually(lambda: free.ids == ["second"], timeout=SOON)


def test_a_burst_in_one_call_reaches_every_idle_process(store: RedisStore) -> None:
    processes = [Hands(store, threads=2) for _ in range(3)]
    with at_work(*processes, listening=True):
        eventually(lambda: all(hands.exchange.hungry.is_set() for hands in processes))
        store.enqueue([a_job(str(n)) for n in range(6)])
        eventually(lambda: [len(hands.ids) for hands in processes] == [2, 2, 2], timeout=SOON)


def test_work_of_another_queue_that_a_full_process_saw_is_offered_to_others(
    store: RedisStore, client: "redis.Redis"
) -> None:
    """The process has one thread, so it takes from one queue; it may have taken the wake-ups of both."""
    store.enqueue([a_job("a", "a"), a_job("b", "b")])
    client.delete(store.keys.wake("a"), store.keys.wake("b"))
    shares = {"a": 1, "b": 1}
    fetched = store.fetch(FetchRequest("w", "t", 1, shares))
    (job,) = fetched.jobs
    assert set(fetched.more) == {"a", "b"} - {job.queue}


def test_what_a_cap_over_all_workers_holds_back_is_offered_to_nobody(store: RedisStore) -> None:
    store.configure({"a": QueueRules(global_concurrency=1)}, {})
    store.enqueue([a_job(str(n), "a") for n in range(4)])
    assert store.fetch(FetchRequest("w", "t1", 1, {"a": 5})).more == ()
    assert store.fetch(FetchRequest("w", "t2", 1, {"a": 5})).more == ()
    store.adjust(Scope("a"), {"cap": 3})
    assert store.fetch(FetchRequest("w", "t3", 1, {"a": 5})).more == ("a",)


def test_jobs_held_ahead_of_a_thread_that_is_stuck_start_elsewhere_at_once(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker.worker.holdings, "PATIENCE_S", 60.0)
    with full_and_idle(store) as (_, idle_one):
        monkeypatch.setattr(broker.worker.holdings, "PATIENCE_S", 0.0)
        eventually(lambda: sorted(idle_one.ids) == ["1", "2"], timeout=SOON)


def test_what_a_stop_hands_back_starts_elsewhere_at_once(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker.worker.holdings, "PATIENCE_S", 60.0)
    with full_and_idle(store) as (stopping, idle_one):
        stopping.exchange.stop_fetching()
        eventually(lambda: sorted(idle_one.ids) == ["1", "2"], timeout=SOON)


def drop_wake_ups(store: RedisStore) -> None:
    """What the enqueue left behind, so that only new wake-ups wake."""
    with redis.Redis.from_url(store.address.url) as client:
        client.delete(*(store.keys.wake(queue) for queue in ("q", "p", "capped")))


@contextmanager
def full_and_idle(store: RedisStore) -> Iterator[tuple[Hands, Hands]]:
    """One process runs job 0 and holds 1 and 2 ahead, another is idle."""
    full, idle_one = Hands(store, threads=1), Hands(store, threads=2)
    for _ in range(100):
        full.holdings._pace.observe(0.0, ended=0.0)
    store.enqueue([a_job(str(n)) for n in range(3)])
    with at_work(full, listening=True):
        eventually(lambda: full.ids == ["0"])
        drop_wake_ups(store)
        with at_work(idle_one, listening=True):
            eventually(lambda: idle_one.exchange.hungry.is_set())
            assert idle_one.ids == []
            yield full, idle_one


def test_a_retry_falls_due_on_time_also_when_its_own_process_is_busy_again(store: RedisStore) -> None:
    busy, idle_one = Hands(store, ["q", "p"], threads=1), Hands(store, ["q"], threads=1)
    store.enqueue([a_job("fails")])
    with at_work(busy, listening=True):
        eventually(lambda: busy.ids == ["fails"])
        store.enqueue([a_job("next", "p")])
        drop_wake_ups(store)
        with at_work(idle_one, listening=True):
            eventually(lambda: idle_one.exchange.hungry.is_set())
            busy.finish(outcome=Outcome.RETRY, delay_ms=200)
            eventually(lambda: busy.ids == ["fails", "next"])
            eventually(lambda: idle_one.ids == ["fails"], timeout=SOON)


def test_a_place_under_a_cap_that_another_process_freed_is_taken_at_once(store: RedisStore) -> None:
    rules = {"capped": QueueRules(5, global_concurrency=1)}
    store.configure(rules, {})
    one, other = (Hands(store, ["capped"], threads=1, rules=rules.__getitem__) for _ in range(2))
    store.enqueue([a_job("c1", "capped"), a_job("c2", "capped")])
    with at_work(one, listening=True):
        eventually(lambda: one.ids == ["c1"])
        drop_wake_ups(store)
        with at_work(other, listening=True):
            eventually(lambda: other.exchange.hungry.is_set())
            one.exchange.stop_fetching()
            one.finish()
            eventually(lambda: other.ids == ["c2"], timeout=SOON)


def test_a_place_under_a_share_is_taken_at_once_by_a_process_that_serves_another_queue_of_it(
    store: RedisStore,
) -> None:
    rules = {queue: QueueRules(5, share="mail", global_concurrency=1) for queue in ("in", "out")}
    store.configure(rules, {})
    one, other = (Hands(store, [queue], threads=1, rules=rules.__getitem__) for queue in rules)
    store.enqueue([a_job("i1", "in")])
    with at_work(one, listening=True):
        eventually(lambda: one.ids == ["i1"])
        with at_work(other, listening=True):
            eventually(lambda: other.exchange.hungry.is_set())
            store.enqueue([a_job("o1", "out")])
            eventually(lambda: sleepers(store) == 1)
            eventually(lambda: other.exchange.hungry.is_set())
            one.finish()
            eventually(lambda: other.ids == ["o1"], timeout=SOON)


def sleepers(store: RedisStore) -> int:
    """How many queues and lines wait for a place under a cap."""
    with redis.Redis.from_url(store.address.url) as client:
        return client.zcard(store.keys.of("asleep"))


def test_jobs_taken_back_from_a_dead_worker_start_at_once(idle: Hands, store: RedisStore) -> None:
    gone = RedisStore(lambda: store.address, store.keys.namespace)
    idle.holdings.stop_accepting()
    gone.enqueue([a_job("one")])
    assert gone.fetch(FetchRequest("dead", "t", 1, {"q": 1}, 1)).jobs
    with at_work(free := Hands(store), listening=True):
        eventually(lambda: free.exchange.hungry.is_set())
        eventually(lambda: gone.reclaim(3))
        eventually(lambda: free.ids == ["one"], timeout=SOON)
    gone.close()


def test_wake_ups_do_not_pile_up(store: RedisStore, client: "redis.Redis") -> None:
    for number in range(20):
        store.enqueue([a_job(str(number))])
    assert store.offer(["q"]) == 0
    assert client.llen(store.keys.wake("q")) == 1


class TestIdleTraffic:
    """An idle process with forty queues sends fewer than three commands a second to the server."""

    @pytest.fixture(autouse=True)
    def as_in_production(self, monkeypatch: pytest.MonkeyPatch, short_blocks: None) -> None:
        monkeypatch.setattr("broker.worker.listener.BLOCK_MS", 4_000)
        monkeypatch.setattr(broker.worker.exchange, "POLL_S", 4.0)

    def test_an_idle_process_is_quiet(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        from broker.redis.embedded import EmbeddedServer
        from broker.worker.chores import Chores
        from broker.worker.relay import Relay
        from jobs.model import Retention, WorkerInfo

        server = EmbeddedServer(tmp_path_factory.mktemp("idle"), durable=False)
        address = server.start()
        store = RedisStore(lambda: address)
        queues = [f"queue-{n}" for n in range(40)]
        info = WorkerInfo("w", "host", 1, "0.1.0", 2, tuple(queues), started_at=0)
        retention = dict.fromkeys(queues, Retention())
        chores = Chores(store, lambda: info, dict, lambda: retention, 15_000, 3)
        hands = Hands(store, queues, threads=8, chores=chores)
        relay = Relay(store, Nowhere, "audit", "w")
        relay.start()
        try:
            with at_work(hands, listening=True), redis.Redis.from_url(address.url) as client:
                eventually(lambda: hands.exchange.hungry.is_set())
                eventually(lambda: client.info("clients")["blocked_clients"] == 2)
                before, since = commands(client), time.monotonic()
                eventually(lambda: time.monotonic() - since > 4.2, every=0.1)
                sent, seconds = commands(client) - before, time.monotonic() - since
        finally:
            relay.stop()
            relay.join(20.0)
            server.stop()
        assert sent / seconds < 3

    def test_retention_of_forty_queues_is_one_command(self, store: RedisStore, client: "redis.Redis") -> None:
        from jobs.model import Retention

        rules = {f"queue-{n}": Retention(0, 0) for n in range(40)}
        store.trim(rules)
        store.enqueue([a_job(queue, queue) for queue in rules])
        for number, queue in enumerate(rules):
            (job,) = store.fetch(FetchRequest("w", str(number), 1, {queue: 1})).jobs
            store.settle("w", [Verdict(job.id, job.token, Outcome.COMPLETED)])
        assert store.trim(rules, limit=30) == 30
        assert store.trim(rules, limit=30) == 10


class Nowhere:
    def write(self, events: object) -> None:
        raise AssertionError("there are no events")


def commands(client: "redis.Redis") -> int:
    """Commands that clients sent, without those that scripts run inside and without our own question."""
    stats = client.info("commandstats")
    asked = ("evalsha", "blpop", "xreadgroup", "xautoclaim", "xinfo|groups", "zrangebylex")
    calls = {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()}
    return sum(calls.get(name, 0) for name in asked)


def test_stopping_consumers_leave_the_processor_to_the_jobs_that_finish() -> None:
    from broker.worker.consumer import QueueConsumer

    stopped = threading.Event()
    stopped.set()
    consumer = QueueConsumer("q", 1.0, stopped, lambda queue: None, lambda proxy: None, lambda proxy: None)
    since, turns = time.monotonic(), 0
    while time.monotonic() - since < 0.35:
        assert next(consumer) is None
        turns += 1
    assert turns < 10


def test_the_address_shows_its_place_and_never_its_password() -> None:
    address = RedisAddress("redis://:secret@localhost:7777/0")
    assert address.place == "localhost:7777"
    assert "secret" not in f"{address!r} {address}"
