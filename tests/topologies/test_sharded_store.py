"""A store of several shards behaves as one, but for what would have to be atomic over two of them."""

from collections.abc import Iterator

import pytest

from broker.redis.topology import Topology, stray_jobs
from jobs.errors import InvalidAdjustment, StoreUnavailable
from jobs.model import Cancelled, FetchRequest, NewJob, Outcome, Retention, Scope, Verdict
from jobs.rules import QueueRules
from jobs.states import JobState
from jobs.store import JobStore
from tests.topologies.flow import LOGIN, WORKER, basic_flow, job, store_at, topology
from tests.topologies.servers import Server

SHARDS = {"fast": ["f"], "slow": ["s", "t"]}
QUEUES = ["q", "f", "s", "t"]


@pytest.fixture
def url(server: Server) -> str:
    return f"redis://{LOGIN}127.0.0.1:{server.port}"


@pytest.fixture
def here(url: str, namespace: str) -> Topology:
    return topology(url, namespace, **SHARDS)


@pytest.fixture
def store(url: str, namespace: str) -> Iterator[JobStore]:
    with store_at(url, namespace, **SHARDS) as store:
        yield store


def fail(store: JobStore, queue: str, job_id: str) -> None:
    """Let one job fail for good."""
    part = store.shards[store.shard_of(queue)]
    part.register(WORKER, 15_000)
    store.enqueue([job(job_id, queue)])
    (given,) = part.fetch(FetchRequest("w", f"t-{job_id}", 1, {queue: 1})).jobs
    part.settle("w", [Verdict(given.id, given.token, Outcome.FAILED)])


def test_a_store_without_shards_is_its_only_one(url: str, namespace: str) -> None:
    with store_at(url, namespace) as store:
        assert dict(store.shards) == {"main": store}
        assert store.shard_of("any") == "main"


def test_a_job_lives_from_enqueue_to_its_event(store: JobStore) -> None:
    assert list(store.shards) == ["main", "fast", "slow"]
    assert [store.shard_of(queue) for queue in QUEUES] == ["main", "fast", "slow", "slow"]
    basic_flow(store, QUEUES)


def test_jobs_of_many_queues_are_answered_in_their_order(store: JobStore) -> None:
    store.enqueue([job("2", "s")])
    jobs = [job(str(number), QUEUES[number % 4]) for number in range(8)]
    accepted = store.enqueue(jobs)
    assert [one.id for one in accepted] == [one.id for one in jobs]
    assert [one.created for one in accepted] == [number != 2 for number in range(8)]
    assert [row.waiting for row in store.stats(QUEUES)] == [2, 2, 2, 2]


def test_an_id_is_one_job_within_its_shard(store: JobStore) -> None:
    answers = store.enqueue([job("same", "s"), job("same", "t"), job("same", "f")])
    assert [answer.created for answer in answers] == [True, False, True]


def test_operators_need_not_know_where_a_job_is(store: JobStore) -> None:
    store.enqueue([NewJob(queue, queue, "actor", b"{}", delay_ms=60_000) for queue in QUEUES])
    assert store.promote(["t", "none", "q"]) == [True, False, True]
    assert store.set_priority(["f", "none"], 2) == [True, False]
    assert store.get("f").priority == 2  # type: ignore[union-attr]
    assert store.standing("s") is not None
    assert store.standing("none") is None
    assert store.cancel(["s", "none", "q"]) == [Cancelled.DONE, Cancelled.UNKNOWN, Cancelled.DONE]
    assert store.retry_dead(["f", "s"]) == [False, True]
    assert store.remove(["f", "q", "none"]) == [True, True, False]
    assert store.get("q") is None
    assert store.drain("s") == 1


def test_rules_and_rests_go_to_the_shard_of_the_queue(store: JobStore) -> None:
    store.adjust(Scope("f"), {"paused": True})
    store.adjust(Scope("q", "tenant"), {"weight": 3.0})
    store.shards["slow"].adjust(Scope("f"), {"cap": 7})  # of the time when it was there
    assert store.adjustments() == {Scope("f"): {"paused": True}, Scope("q", "tenant"): {"weight": 3.0}}
    store.enqueue([job("one", "s")])
    store.rest(Scope("s"), 60_000, "why")
    assert store.standing("one").rest_reason == "why"  # type: ignore[union-attr]
    store.wake(Scope("s"))
    assert store.standing("one").rests_until is None  # type: ignore[union-attr]


def test_queues_that_share_their_limits_must_be_in_one_shard(store: JobStore) -> None:
    shared = QueueRules(share="mail", global_concurrency=2)
    store.configure({"s": shared, "t": shared, "q": QueueRules()}, {"tenant": 2.0})
    with pytest.raises(
        InvalidAdjustment, match=r"f and s share their limits \(mail\).*f is in fast, s in slow"
    ):
        store.configure({"f": shared, "s": shared}, {})


def test_dead_letters_of_all_shards_are_counted_and_listed(store: JobStore) -> None:
    fail(store, "q", "one")
    fail(store, "s", "two")
    fail(store, "f", "three")
    assert store.stats(["dead-letter"])[0].dead_letters == 3
    found, after = list[str](), ""
    while after is not None:
        page, after = store.scan("dead-letter", JobState.FAILED, 1, after, routed=True)
        found += [one.id for one in page]
    assert sorted(found) == ["one", "three", "two"]
    assert [one.id for one in store.scan("s", JobState.FAILED)[0]] == ["two"]


def test_a_process_is_listed_once_whatever_shards_it_serves(store: JobStore) -> None:
    for part, queues in ((store.shards["fast"], ("f",)), (store.shards["slow"], ("s", "t"))):
        part.register(WORKER.__class__("w", "host", 1, "1", 1, queues, 0), 15_000)
    (worker,) = store.workers()
    assert worker.queues == ("f", "s", "t")
    assert not store.renew("w", 15_000), "it has no lease in main"
    store.register(WORKER, 15_000)
    assert store.renew("w", 15_000)
    assert store.owned("w") == {}
    assert store.cancels("w") == []
    store.leave("w")
    assert store.workers() == []


def test_what_would_span_shards_is_refused(store: JobStore) -> None:
    with pytest.raises(ValueError, match="One call works on one shard, not on fast, slow"):
        store.fetch(FetchRequest("w", "t", 1, {"f": 1, "s": 1}))
    with pytest.raises(ValueError, match="use `shards`"):
        store.wait_for_work(["q", "f"], 10)
    store.enqueue([job("one", "s")])
    store.register(WORKER, 15_000)
    assert len(store.fetch(FetchRequest("w", "t", 1, {"s": 1, "t": 1})).jobs) == 1


def test_events_of_all_shards_are_read_and_acknowledged_together(store: JobStore) -> None:
    for queue in QUEUES:
        fail(store, queue, f"of-{queue}")
    batch = store.read_events("audit", "me")
    assert sorted(event.job_id for event in batch.events) == ["of-f", "of-q", "of-s", "of-t"]
    assert len({event.id for event in batch.events}) == 4
    store.ack_events("audit", [event.id for event in batch.events])
    assert store.read_events("audit", "me", block_ms=10).events == []
    # A dead letter may leave when its event was dealt with.
    retention = {queue: Retention(failed_ms=0) for queue in QUEUES}
    assert sum(iter(lambda: store.trim(retention), 0)) == 4
    store.keep_readers([])


def test_one_shard_that_is_away_does_not_keep_the_others_from_their_part(
    url: str, server: Server, namespace: str
) -> None:
    with store_at(url, namespace, **SHARDS) as store:
        store.register(WORKER, 15_000)
        with server.client() as client:
            client.set(f"{namespace}:{{main}}:leases", "spoilt")
        with pytest.raises(StoreUnavailable, match="WRONGTYPE"):
            store.leave("w")
        assert store.shards["fast"].workers() == store.shards["slow"].workers() == []


def test_jobs_left_in_another_shard_are_found(url: str, here: Topology, namespace: str) -> None:
    with store_at(url, namespace, old=["f"], slow=["q", "s"]) as before:
        before.enqueue([job("1", "f"), job("2", "q"), job("3", "s"), job("4", "t")])
    strays = {(stray.queue, stray.shard): stray.jobs for stray in stray_jobs(here, QUEUES)}
    assert strays == {("f", "old"): 1, ("q", "slow"): 1, ("t", "main"): 1}
