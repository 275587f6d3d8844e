"""The exchange: one thread that settles and fetches, through outages and lost replies."""

import threading
from collections.abc import Callable, Sequence

import pytest

from broker.redis.redis_store import RedisStore
from broker.worker.chores import Chores
from jobs.errors import StoreUnavailable
from jobs.memory import MemoryStore
from jobs.model import Fetched, FetchRequest, Outcome, Settled, Verdict, WorkerInfo
from jobs.rules import QueueRules
from jobs.states import JobState
from tests.broker.hands import Hands, a_job, at_work
from tests.waiting import eventually

Reply = tuple[list[Settled], Fetched]


class Flaky(MemoryStore):
    """Away for the next `away` calls; `lose` replies get lost after the call was executed."""

    def __init__(self) -> None:
        super().__init__()
        self.away = self.lose = 0
        self.answers: list[Settled] = []
        self.requests: list[FetchRequest] = []
        self.trips = 0
        self.verbs: list[str] = []
        self.hold_up = 0.0

    def register(self, worker: WorkerInfo, lease_ms: int) -> bool:
        if self.away:
            self.away -= 1
            raise StoreUnavailable("the store is away")
        self.verbs.append("register")
        return super().register(worker, lease_ms)

    def settle_and_fetch(
        self, verdicts: Sequence[Verdict], request: FetchRequest
    ) -> tuple[list[Settled], Fetched]:
        self.requests.append(request)
        threading.Event().wait(self.hold_up)
        return self._over_the_wire(lambda: super(Flaky, self).settle_and_fetch(verdicts, request))

    def settle(self, owner: str, verdicts: Sequence[Verdict]) -> list[Settled]:
        answers = super().settle(owner, verdicts)
        self.answers += answers
        return answers

    def _over_the_wire(self, call: Callable[[], Reply]) -> Reply:
        self.trips += 1
        if self.away:
            self.away -= 1
            raise StoreUnavailable("the store is away")
        self.verbs.append("fetch")
        reply = call()
        if self.lose:
            self.lose -= 1
            raise StoreUnavailable("the reply was lost")
        return reply


@pytest.fixture
def flaky() -> Flaky:
    return Flaky()


def test_jobs_start_as_far_as_threads_are_free_and_settle_when_they_end(flaky: Flaky) -> None:
    hands = Hands(flaky, threads=2)
    flaky.enqueue([a_job(str(n)) for n in range(3)])
    with at_work(hands):
        eventually(lambda: hands.ids == ["0", "1"])
        hands.finish(0)
        eventually(lambda: hands.ids == ["0", "1", "2"])
        hands.finish(1)
        hands.finish(2)
        eventually(lambda: flaky.stats(["q"])[0].completed == 3)
    assert flaky.answers == [Settled.STORED] * 3


def test_an_outage_loses_neither_jobs_nor_verdicts(flaky: Flaky, caplog: pytest.LogCaptureFixture) -> None:
    hands = Hands(flaky, threads=1)
    flaky.enqueue([a_job("one"), a_job("two")])
    flaky.away = 2
    with at_work(hands):
        eventually(lambda: hands.ids == ["one"])
        flaky.away = 3
        hands.finish()
        eventually(lambda: hands.ids == ["one", "two"])
    assert flaky.get("one").state is JobState.COMPLETED  # type: ignore[union-attr]
    assert "the store is away Trying again" in caplog.text.replace("away.", "away")


def with_chores(store: Flaky, threads: int, lease_ms: int = 60_000) -> Hands:
    """Hands that show that they live, as a worker process does."""
    hands = Hands(store, threads=threads, lease_ms=lease_ms)
    chores = Chores(
        store,
        lambda: WorkerInfo(hands.exchange.owner, "host", 1, "0.1", threads, ("q",), started_at=0),
        hands.holdings.held,
        dict,
        lease_ms,
        3,
        keep_only=hands.holdings.keep_only,
    )
    hands.exchange._chores, hands.exchange._outage = chores, chores.outage
    return hands


def test_after_an_outage_the_lease_is_asked_for_before_anything_else(flaky: Flaky) -> None:
    hands = with_chores(flaky, threads=1)
    flaky.enqueue([a_job("one")])
    with at_work(hands):
        eventually(lambda: hands.ids == ["one"])
        flaky.verbs.clear()
        flaky.away = 3
        hands.finish()
        eventually(lambda: "fetch" in flaky.verbs)
    assert flaky.verbs[0] == "register"


def test_what_was_given_to_others_during_an_outage_is_not_started(
    flaky: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.worker.holdings.PATIENCE_S", 60.0)
    hands = with_chores(flaky, threads=1)
    for _ in range(100):
        hands.holdings._pace.observe(0.0, ended=0.0)
    flaky.enqueue([a_job("one"), a_job("two")])
    with at_work(hands):
        eventually(lambda: hands.ids == ["one"])
        assert hands.holdings.ahead == 1
        flaky.away = 5
        flaky.renew(hands.exchange.owner, -1)
        assert flaky.reclaim(max_lost=3) == 2
        hands.exchange.look()
        hands.exchange.check_store()
        eventually(lambda: not flaky.away)
        eventually(lambda: not hands.holdings.ahead)
        assert hands.ids == ["one"]
        assert hands.holdings.take_verdicts(9) == [], "it is not ours to give back"
        hands.holdings.sent()


def test_a_process_that_was_suspended_asks_for_its_lease_again(flaky: Flaky) -> None:
    hands = with_chores(flaky, threads=1, lease_ms=100)
    with at_work(hands):
        eventually(lambda: "fetch" in flaky.verbs)
        flaky.verbs.clear()
        flaky.hold_up = 0.3
        hands.exchange.look()
        eventually(lambda: "register" in flaky.verbs)
        flaky.hold_up = 0.0


def test_a_fetch_whose_reply_was_lost_brings_the_same_jobs_once(flaky: Flaky) -> None:
    hands = Hands(flaky, threads=2)
    flaky.enqueue([a_job("one"), a_job("two"), a_job("three")])
    flaky.lose = 1
    with at_work(hands):
        eventually(lambda: hands.ids == ["one", "two"])
        first, again = flaky.requests[:2]
        assert first.token == again.token
        assert flaky.owned(hands.exchange.owner) == {"one": 1, "two": 1}
        assert flaky.get("one").attempts == 1  # type: ignore[union-attr]


def test_a_settlement_whose_reply_was_lost_is_repeated_and_stored_once(flaky: Flaky) -> None:
    hands = Hands(flaky, threads=1)
    flaky.enqueue([a_job("one")])
    with at_work(hands):
        eventually(lambda: hands.ids == ["one"])
        flaky.lose = 1
        hands.finish(outcome=Outcome.RETRY, delay_ms=60_000)
        eventually(lambda: flaky.answers == [Settled.STORED, Settled.REPEATED])
    assert flaky.stats(["q"])[0].retries == 1


def test_a_refused_settlement_is_said_aloud_and_not_repeated(
    flaky: Flaky, caplog: pytest.LogCaptureFixture
) -> None:
    hands = Hands(flaky, threads=1, lease_ms=1)
    flaky.enqueue([a_job("one")])
    with at_work(hands):
        eventually(lambda: hands.ids == ["one"])
        flaky.renew(hands.exchange.owner, -1)
        assert flaky.reclaim(max_lost=3) == 1
        hands.finish(0)
        eventually(lambda: "Job one was run elsewhere: its lease had been lost." in caplog.text)
        eventually(lambda: not hands.holdings.unsent())
    assert flaky.answers.count(Settled.REFUSED) == 1


def test_the_end_waits_until_the_last_verdict_is_stored(flaky: Flaky) -> None:
    hands = Hands(flaky, threads=1)
    flaky.enqueue([a_job("one"), a_job("two")])
    hands.start()
    eventually(lambda: hands.ids == ["one"])
    hands.exchange.stop_fetching()
    hands.finish()
    hands.listener.stop()
    hands.exchange.end()
    assert hands.exchange.ended(20.0)
    assert flaky.get("one").state is JobState.COMPLETED  # type: ignore[union-attr]
    assert flaky.get("two").state is JobState.WAITING  # type: ignore[union-attr]


def test_the_end_says_when_verdicts_could_not_be_sent(flaky: Flaky, monkeypatch: pytest.MonkeyPatch) -> None:
    hands = Hands(flaky, threads=1)
    flaky.enqueue([a_job("one")])
    with at_work(hands):
        eventually(lambda: hands.ids == ["one"])
        hands.exchange.stop_fetching()

        def away(owner: str, verdicts: Sequence[Verdict]) -> list[Settled]:
            raise StoreUnavailable("the store is away")

        with monkeypatch.context() as patch:
            patch.setattr(flaky, "settle", away)
            hands.finish()
            hands.exchange.end()
            assert not hands.exchange.ended(0.3)


def test_a_queues_concurrency_and_its_cap_over_all_workers_hold(flaky: Flaky) -> None:
    rules = {"narrow": QueueRules(concurrency=1), "capped": QueueRules(concurrency=5, global_concurrency=2)}
    flaky.configure(rules, {})
    first, second = (Hands(flaky, list(rules), threads=8, rules=rules.__getitem__) for _ in range(2))
    flaky.enqueue([a_job(f"n{n}", "narrow") for n in range(4)] + [a_job(f"c{n}", "capped") for n in range(4)])
    with at_work(first, second):
        eventually(lambda: flaky.stats(["narrow"])[0].active == 2 and flaky.stats(["capped"])[0].active == 2)
        # A job is active in the store a moment before its thread has it.
        for hands in (first, second):
            eventually(lambda h=hands: sum(proxy.queue_name == "narrow" for proxy in h.started) == 1)
        assert flaky.stats(["capped"])[0].waiting == 2
        before = flaky.trips
        threading.Event().wait(0.3)
        assert flaky.trips < before + 10, "they wait until a place is free"
        assert flaky.stats(["capped"])[0].waiting == 2


def test_an_unexpected_error_ends_the_thread_so_that_the_lease_keeper_sees_it(
    flaky: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault: list[object] = []
    monkeypatch.setattr("threading.excepthook", fault.append)

    def broken(now: float) -> float:
        raise RuntimeError("a bug")

    hands = Hands(flaky, chores=broken)
    hands.exchange.start()
    eventually(lambda: not hands.exchange.is_alive())
    assert len(fault) == 1


def test_what_the_server_gave_but_never_arrived_is_handed_back(store: RedisStore) -> None:
    owner = "w"
    store.enqueue([a_job("held"), a_job("stray")])
    store.fetch(FetchRequest(owner, "t", 2, {"q": 2}))
    info = WorkerInfo(owner, "host", 1, "0.1.0", 2, ("q",), started_at=0)
    chores = Chores(store, lambda: info, lambda: {"held": 1}, dict, 60_000, 3)

    assert chores(1_000.0) > 1_000.0

    assert store.owned(owner) == {"held": 1}
    found = store.get("stray")
    assert found is not None
    assert (found.state, found.attempts) == (JobState.WAITING, 0)
    assert [worker.owner for worker in store.workers()] == [owner]


def test_a_wake_up_during_a_fetch_leads_to_another_fetch(
    flaky: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.worker.exchange.POLL_S", 60.0)
    hands = Hands(flaky, threads=2)

    def reply_on_its_way(call: Callable[[], Reply]) -> Reply:
        reply = call()
        if not flaky.trips:
            flaky.enqueue([a_job("meanwhile")])
            hands.exchange.look()
        flaky.trips += 1
        return reply

    monkeypatch.setattr(flaky, "_over_the_wire", reply_on_its_way)
    with at_work(hands):
        eventually(lambda: hands.ids == ["meanwhile"])
