"""A job whose worker died before runs where nothing else does, and holds up nobody for ever."""

from collections.abc import Iterator

import pytest

from jobs.memory import MemoryStore, wall_clock_ms
from jobs.model import FetchRequest, Outcome, Scope
from jobs.states import JobState
from jobs.store import JobStore
from tests.broker.hands import Hands, a_job, at_work
from tests.broker.workers import state_of
from tests.waiting import eventually


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.worker.listener.BLOCK_MS", 300)


@pytest.fixture(params=["memory", "redis"])
def either(request: pytest.FixtureRequest) -> Iterator[JobStore]:
    if request.param == "redis":
        yield request.getfixturevalue("store")
    else:
        yield MemoryStore()


def make_suspect(store: JobStore, job_id: str, queue: str = "q") -> None:
    """A worker fetches the job and dies."""
    store.enqueue([a_job(job_id, queue)])
    owner = f"dead-{job_id}"
    assert store.fetch(FetchRequest(owner, "t", 1, {queue: 1})).jobs
    store.renew(owner, 0)
    assert eventually(lambda: store.reclaim(max_lost=3)) == 1


def test_an_empty_process_runs_it_and_fetches_nothing_beside_it(either: JobStore) -> None:
    make_suspect(either, "suspect")
    either.enqueue([a_job("other")])
    hands = Hands(either, threads=4)
    with at_work(hands, listening=True):
        eventually(lambda: hands.ids == ["suspect"])
        either.enqueue([a_job("later")])
        either.offer(["q"])
        assert not hands.exchange.hungry.wait(0.3), "it does not even listen"
        assert hands.ids == ["suspect"]
        hands.finish()
        eventually(lambda: sorted(hands.ids[1:]) == ["later", "other"])


def two_run_and_a_suspect_waits(store: JobStore) -> Hands:
    make_suspect(store, "suspect", "s")
    store.adjust(Scope("s"), {"paused": True})
    store.enqueue([a_job("one"), a_job("two")])
    return Hands(store, ["q", "s"], threads=4)


def test_a_busy_process_lets_its_jobs_end_first(either: JobStore) -> None:
    hands = two_run_and_a_suspect_waits(either)
    with at_work(hands, listening=True):
        eventually(lambda: hands.ids == ["one", "two"])
        either.adjust(Scope("s"), {"paused": None})
        hands.exchange.look()
        eventually(lambda: hands.holdings.alone)
        either.enqueue([a_job("three")])
        hands.finish(0)
        hands.finish(1)
        eventually(lambda: hands.ids == ["one", "two", "suspect"])
        assert state_of(either, "two") is JobState.COMPLETED, "what had ended was stored before"
        hands.finish(2)
        eventually(lambda: hands.ids == ["one", "two", "suspect", "three"])


def test_a_process_that_does_not_become_empty_goes_on_with_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("broker.worker.solitude.TURN_S", 0.2)
    now = [wall_clock_ms()]
    store = MemoryStore(lambda: now[0])
    hands = two_run_and_a_suspect_waits(store)
    with at_work(hands, listening=True):
        eventually(lambda: hands.ids == ["one", "two"])
        store.adjust(Scope("s"), {"paused": None})
        hands.exchange.look()
        eventually(lambda: hands.holdings.alone)
        store.enqueue([a_job("three")])
        now[0] += 31_000
        eventually(lambda: hands.ids == ["one", "two", "three"], timeout=3.0)


def test_two_suspects_run_one_after_the_other(either: JobStore) -> None:
    make_suspect(either, "first", "q")
    make_suspect(either, "second", "s")
    hands = Hands(either, ["q", "s"], threads=4)
    with at_work(hands, listening=True):
        eventually(lambda: hands.ids == ["first"])
        hands.finish()
        eventually(lambda: hands.ids == ["first", "second"])
        hands.finish()
        eventually(lambda: not hands.holdings.alone)


def test_one_that_is_tried_again_is_settled_before_anything_is_fetched(either: JobStore) -> None:
    make_suspect(either, "suspect")
    either.enqueue([a_job("other")])
    hands = Hands(either, threads=4)
    with at_work(hands, listening=True):
        eventually(lambda: hands.ids == ["suspect"])
        hands.finish(outcome=Outcome.RETRY, delay_ms=600_000)
        eventually(lambda: hands.ids == ["suspect", "other"])
    assert state_of(either, "suspect") is JobState.DELAYED


def test_after_it_the_others_are_fetched_without_being_told(
    either: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.worker.exchange.POLL_S", 60.0)
    make_suspect(either, "suspect")
    either.enqueue([a_job("other")])
    hands = Hands(either, threads=4)
    with at_work(hands):
        eventually(lambda: hands.ids == ["suspect"])
        hands.finish()
        eventually(lambda: hands.ids == ["suspect", "other"], timeout=3.0)
