"""A job that stands by is handed the next permit, in the step in which another gives it back."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from broker.redis.connection import RedisAddress
from broker.redis.redis_store import RedisStore
from jobs.limits import Algorithm, By, Grant, LimitRule, Terms, Want, key_of
from jobs.model import FetchedJob, FetchRequest, NewJob, Outcome, Verdict
from tests.broker.leaks import leaked_keys
from tests.waiting import eventually

RULE = LimitRule("at-once", By.GLOBAL, Algorithm.CONCURRENCY, Terms(1))
WANT = Want(key_of("at-once"), "at-once", Algorithm.CONCURRENCY, Terms(1))


@pytest.fixture
def store(redis_address: RedisAddress, namespace: str) -> Iterator[RedisStore]:
    store = RedisStore(lambda: redis_address, namespace)
    yield store
    store.close()
    assert leaked_keys(redis_address, namespace) == []


class Patience:
    """Of those that stand by: how long they were told to, in ms, and whether that time is `over`."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.over = threading.Event()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Iterator[Patience]:
    """They stand by until the test says that their time is over: a tenth of a second may be short for it."""
    patience, handed_over = Patience(), RedisStore._is_handed_over

    def stand(store: RedisStore, entries: str, most_ms: int) -> bool:
        patience.told.append(most_ms)
        since = time.monotonic()
        while not patience.over.is_set() and time.monotonic() - since < 15:
            if handed_over(store, entries, 50):
                return True
        return handed_over(store, entries, 10)

    monkeypatch.setattr(RedisStore, "_is_handed_over", stand)
    yield patience
    patience.over.set()


def some(store: RedisStore, number: int) -> list[FetchedJob]:
    store.enqueue([NewJob(f"j{n}", "mail", "mail", b"") for n in range(number)])
    return store.fetch(FetchRequest("w", "token", number, {"mail": number}, lease_ms=60_000)).jobs


def ask(store: RedisStore, job: FetchedJob, patience_ms: int = 40) -> Grant:
    return store.acquire("w", job.id, job.token, [WANT], queue="mail", patience_ms=patience_ms)


def let_one_be_brief(store: RedisStore, job: FetchedJob) -> None:
    assert ask(store, job).granted
    store.give_back(job.id, job.token, 0, queue="mail")


def test_a_permit_goes_straight_to_the_job_that_stands_by(store: RedisStore, patience: Patience) -> None:
    first, second, third = some(store, 3)
    let_one_be_brief(store, first)
    assert ask(store, second).brief
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, store, third)
        eventually(lambda: standing(store) == 1)
        store.give_back(second.id, second.token, 0, queue="mail")
        # There was no moment in which it was nobody's.
        assert [one.used for one in store.limit_states([RULE])] == [1]
        assert answer.result(timeout=20) == Grant(True, brief=True)
    assert standing(store) == 0


def test_who_stood_by_in_vain_is_refused_after_a_tenth_of_a_second(store: RedisStore) -> None:
    first, second, third = some(store, 3)
    let_one_be_brief(store, first)
    assert ask(store, second).granted
    since = time.monotonic()
    assert not ask(store, third).granted
    assert 0.09 <= time.monotonic() - since < 10
    assert standing(store) == 0
    assert store.limit_states([RULE])[0].waiting == 1


def test_nobody_stands_by_for_permits_that_are_long_or_without_patience(
    store: RedisStore, patience: Patience
) -> None:
    first, second, third = some(store, 3)
    assert ask(store, first).granted
    assert not ask(store, second).granted  # how long they last is not known yet
    store.give_back(first.id, first.token, 0, queue="mail")
    assert ask(store, third).granted
    assert not ask(store, second, patience_ms=0).granted
    assert patience.told == []


def test_what_is_over_while_it_stands_by_is_handed_nothing(store: RedisStore, patience: Patience) -> None:
    first, second, third = some(store, 3)
    let_one_be_brief(store, first)
    assert ask(store, second).granted
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, store, third)
        eventually(lambda: standing(store) == 1)
        store.settle("w", [Verdict(third.id, third.token, Outcome.INTERRUPTED)])
        assert standing(store) == 0
        store.give_back(second.id, second.token, 0, queue="mail")
        patience.over.set()
        assert answer.result(timeout=20).lost
    assert [one.used for one in store.limit_states([RULE])] == [0]


def test_under_a_limit_that_was_lowered_nothing_is_handed_over(store: RedisStore, patience: Patience) -> None:
    first, second, third, fourth = some(store, 4)
    store.set_limit("at-once", None, {"limit": 2})
    let_one_be_brief(store, first)
    assert ask(store, second).granted
    assert ask(store, third).granted
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, store, fourth)
        eventually(lambda: standing(store) == 1)
        store.set_limit("at-once", None, {"limit": 1})
        store.give_back(second.id, second.token, 0, queue="mail")
        patience.over.set()
        assert not answer.result(timeout=20).granted


def standing(store: RedisStore) -> int:
    with store._link.talking() as opened:
        return int(opened.client.zlexcount(store.keys.of("limited"), "[s\x1f", "(s "))  # type: ignore[arg-type]
