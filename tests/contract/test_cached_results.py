"""Results that answer for later jobs: kept with the verdict, for a time, and not too many."""

from jobs import model
from jobs.model import CacheEntry, Outcome, Settled, Verdict
from jobs.store import JobStore
from tests.contract.clock import Clock
from tests.contract.steps import QUEUE, a_job, settle, take


def test_a_result_is_found_until_its_time_is_over(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("first")])
    assert store.cached(QUEUE, "sum\x1facme\x1f1") is None
    settle(store, take(store), cache=CacheEntry("sum\x1facme\x1f1", b"\x00seven", 60_000))
    clock.advance(59_999)
    assert store.cached(QUEUE, "sum\x1facme\x1f1") == b"\x00seven"
    clock.advance(1)
    assert store.cached(QUEUE, "sum\x1facme\x1f1") is None


def test_a_refused_verdict_leaves_none(store: JobStore) -> None:
    store.enqueue([a_job("first")])
    job = take(store)
    late = Verdict(job.id, job.token + 1, Outcome.COMPLETED, cache=CacheEntry("k", b"v", 60_000))
    assert store.settle("worker-1", [late]) == [Settled.REFUSED]
    assert store.cached(QUEUE, "k") is None


def test_a_later_result_takes_the_place_of_the_former(store: JobStore) -> None:
    store.enqueue([a_job("first"), a_job("second")])
    settle(store, take(store), cache=CacheEntry("k", b"old", 60_000))
    settle(store, take(store), cache=CacheEntry("k", b"new", 60_000))
    assert store.cached(QUEUE, "k") == b"new"


def test_results_are_forgotten_by_the_beginning_of_their_keys(store: JobStore) -> None:
    for key in ("sum\x1facme\x1f1", "sum\x1facme\x1f2", "sum\x1fglobex\x1f1", "product\x1facme\x1f1"):
        store.enqueue([a_job()])
        settle(store, take(store), cache=CacheEntry(key, b"v", 60_000))
    assert store.clear_cache("sum\x1facme\x1f", 1) == 1
    assert store.clear_cache("sum\x1facme\x1f") == 1
    assert store.clear_cache("sum\x1facme\x1f") == 0
    assert store.cached(QUEUE, "sum\x1fglobex\x1f1") == b"v"
    assert store.clear_cache("") == 2


def test_their_memory_is_bounded_and_what_ends_first_makes_way(store: JobStore) -> None:
    half = b"x" * (model.CACHED_BYTES // 2)
    for key, ttl in (("soon", 60_000), ("later", 120_000), ("last", 180_000)):
        store.enqueue([a_job(key)])
        settle(store, take(store), cache=CacheEntry(key, half, ttl))
    assert store.cached(QUEUE, "soon") is None
    assert store.cached(QUEUE, "later") == half
    assert store.cached(QUEUE, "last") == half
    assert store.clear_cache("") == 2
