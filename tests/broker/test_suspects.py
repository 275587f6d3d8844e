"""A job whose worker died before runs where nothing else does, and holds up nobody for ever."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from jobs.memory import MemoryStore
from jobs.model import Fetched, FetchRequest, Outcome, Scope, Settled, Verdict
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


def make_suspect(store: JobStore, *job_ids: str, queue: str = "q") -> None:
    """A worker fetches the jobs and dies."""
    store.enqueue([a_job(job_id, queue) for job_id in job_ids])
    owner = f"dead-{job_ids[0]}"
    assert len(store.fetch(FetchRequest(owner, "t", 9, {queue: 9})).jobs) == len(job_ids)
    store.renew(owner, 0)
    assert eventually(lambda: store.reclaim(max_lost=3)) == len(job_ids)


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


class Counting:
    """The store, and how often a fetch was told to become empty."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self.suspects = 0

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._store, verb)

    def settle_and_fetch(
        self, verdicts: Sequence[Verdict], request: FetchRequest
    ) -> tuple[list[Settled], Fetched]:
        settled, fetched = self._store.settle_and_fetch(verdicts, request)
        self.suspects += fetched.suspect
        return settled, fetched


def two_run_and_a_suspect_waits(store: JobStore, counted: Any = None) -> Hands:
    make_suspect(store, "suspect", queue="s")
    store.adjust(Scope("s"), {"paused": True})
    store.enqueue([a_job("one"), a_job("two")])
    return Hands(counted or store, ["q", "s"], threads=4)


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


def test_however_long_that_takes(either: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.worker.solitude.ASK_EVERY_S", 0.05)
    monkeypatch.setattr("broker.worker.exchange.ALONE_S", 0.02)
    asks = Counting(either)
    hands = two_run_and_a_suspect_waits(either, asks)
    with at_work(hands, listening=True):
        eventually(lambda: hands.ids == ["one", "two"])
        either.adjust(Scope("s"), {"paused": None})
        hands.exchange.look()
        eventually(lambda: hands.holdings.alone)
        either.enqueue([a_job("three")])
        before = asks.suspects
        eventually(lambda: asks.suspects >= before + 5)
        assert hands.ids == ["one", "two"]
        hands.finish(0)
        hands.finish(1)
        eventually(lambda: hands.ids == ["one", "two", "suspect"])


def test_when_an_empty_process_takes_the_suspect_the_busy_one_goes_on(
    either: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.worker.solitude.ASK_EVERY_S", 0.1)
    hands = two_run_and_a_suspect_waits(either)
    with at_work(hands, listening=True):
        eventually(lambda: hands.ids == ["one", "two"])
        either.adjust(Scope("s"), {"paused": None})
        hands.exchange.look()
        eventually(lambda: hands.holdings.alone)
        either.enqueue([a_job("three")])
        (suspect,) = either.fetch(FetchRequest("empty", "t", 4, {"s": 4})).jobs
        assert suspect.id == "suspect"
        eventually(lambda: hands.ids == ["one", "two", "three"])
        assert not hands.holdings.alone


def test_a_fleet_works_off_its_suspects_side_by_side_and_goes_on_meanwhile(either: JobStore) -> None:
    make_suspect(either, *[f"suspect-{number}" for number in range(4)])
    either.enqueue([a_job(f"other-{number}") for number in range(8)])
    fleet = [Hands(either, threads=2) for _ in range(4)]
    with at_work(*fleet, listening=True):
        eventually(lambda: all(hands.ids for hands in fleet))
        alone = [hands for hands in fleet if hands.ids[0].startswith("suspect")]
        assert len(alone) == 2
        assert all(len(hands.ids) == 1 for hands in alone)
        eventually(lambda: all(len(hands.ids) == 2 for hands in fleet if hands not in alone))
        for hands in alone:
            hands.finish()
        eventually(lambda: all(len(hands.ids) == 2 for hands in alone))
        assert sorted(job for hands in alone for job in hands.ids) == [f"suspect-{n}" for n in range(4)]
        for hands in alone:
            hands.finish()
        eventually(lambda: all(hands.ids[2:] and not hands.holdings.alone for hands in alone))
    started = [job for hands in fleet for job in hands.ids]
    assert len(started) == len(set(started)) == 12


def test_a_suspect_that_is_held_lets_the_others_run(either: JobStore) -> None:
    make_suspect(either, "suspect")
    either.enqueue([a_job("other")])
    hands = Hands(either, threads=4)
    with at_work(hands, listening=True):
        eventually(lambda: hands.ids == ["suspect"])
        hands.finish(outcome=Outcome.HELD, delay_ms=600_000)
        eventually(lambda: hands.ids == ["suspect", "other"])


def test_two_suspects_run_one_after_the_other(either: JobStore) -> None:
    make_suspect(either, "first")
    make_suspect(either, "second", queue="s")
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
        eventually(lambda: hands.ids == ["suspect", "other"])
