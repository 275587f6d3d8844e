"""One worker process on a store in two parts: it serves both with the same threads."""

import threading
from collections.abc import Sequence

import pytest

from broker.redis.sharded_store import ShardedStore
from jobs.errors import StoreUnavailable
from jobs.memory import MemoryStore
from jobs.model import Fetched, FetchRequest, Settled, Verdict
from jobs.rules import QueueRules
from jobs.states import JobState
from tests.broker.workers import a_broker, at_work, send, state_of
from tests.waiting import eventually


class Part(MemoryStore):
    """A server that can be away."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.configured: list[dict[str, QueueRules]] = []

    def settle_and_fetch(
        self,
        verdicts: Sequence[Verdict],
        request: FetchRequest,
    ) -> tuple[list[Settled], Fetched]:
        self._check()
        return super().settle_and_fetch(verdicts, request)

    def register(self, *what: object) -> None:
        self._check()
        super().register(*what)  # type: ignore[arg-type]

    def configure(self, rules: "dict[str, QueueRules]", weights: "dict[str, float]") -> None:  # type: ignore[override]
        self.configured.append(rules)
        super().configure(rules, weights)

    def _check(self) -> None:
        if self.away:
            raise StoreUnavailable("this part is away")


@pytest.fixture(autouse=True)
def short_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.worker.listener.BLOCK_MS", 300)
    monkeypatch.setattr("broker.worker.signals.LISTEN_MS", 300)
    # A heartbeat asks too what shall be cancelled: it is not that which finds anything here.
    monkeypatch.setattr("broker.worker.chores.REGISTER_EVERY_S", 600.0)


@pytest.fixture
def parts() -> dict[str, Part]:
    return {"main": Part(), "mail": Part()}


@pytest.fixture
def split(parts: dict[str, Part]) -> ShardedStore:
    return ShardedStore(parts, {"letters": "mail"})


class Count:
    """How many run at once, and the most there were."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now = self.most = 0
        self.pause = threading.Event()

    def run(self) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.pause.wait(0.002)
        with self.lock:
            self.now -= 1


def test_jobs_of_both_parts_run_and_never_more_than_there_are_threads(
    split: ShardedStore, parts: dict[str, Part]
) -> None:
    count = Count()

    def reports() -> None:
        count.run()

    def letters() -> None:
        count.run()

    broker = a_broker(split, reports, letters, rules_of=lambda queue: QueueRules(concurrency=100))
    ids = [send(broker, name) for _ in range(100) for name in ("reports", "letters")]
    held = list[int]()
    with at_work(broker, threads=3):

        def all_done() -> bool:
            held.append(sum(row.active for row in split.stats(["reports", "letters"])))
            return all(state_of(split, job_id) is JobState.COMPLETED for job_id in ids)

        eventually(all_done, timeout=40, every=0.002)
    assert count.most == 3
    # What has ended and is not settled yet still counts as active in its store.
    assert max(held) <= 2 * 3 + 1
    assert parts["main"].configured[0].keys() == {"reports"}
    assert parts["mail"].configured[0].keys() == {"letters"}


def test_a_backlog_in_one_part_does_not_starve_the_other(split: ShardedStore, parts: dict[str, Part]) -> None:
    order, both_are_there = list[str](), threading.Event()

    def reports() -> None:
        assert both_are_there.wait(20)
        order.append("reports")

    def letters() -> None:
        assert both_are_there.wait(20)
        order.append("letters")

    broker = a_broker(split, reports, letters, rules_of=lambda queue: QueueRules(1, global_concurrency=1))
    for _ in range(200):
        send(broker, "reports")
    for _ in range(10):
        send(broker, "letters")
    with at_work(broker, threads=1):
        eventually(lambda: all(part.workers() for part in parts.values()))
        both_are_there.set()
        eventually(lambda: order.count("letters") == 10)
        places = [place for place, name in enumerate(order) if name == "letters"]
    # A part that does not ask in time loses a turn, so there may be a few more than ten. Starved, it would
    # come last.
    assert order[: places[9]].count("reports") < 100, "they took turns while both had work"


def test_a_part_that_is_away_does_not_hold_up_the_other(split: ShardedStore, parts: dict[str, Part]) -> None:
    done = list[int]()

    def reports(n: int) -> None:
        done.append(n)

    def letters() -> None: ...

    broker = a_broker(split, reports, letters)
    letter = send(broker, "letters")
    parts["mail"].away = True
    for n in range(50):
        send(broker, "reports", n)
    with at_work(broker, threads=1):
        eventually(lambda: len(done) == 50)
        assert state_of(split, letter) is JobState.WAITING
        parts["mail"].away = False
        eventually(lambda: state_of(split, letter) is JobState.COMPLETED)


def test_a_job_of_either_part_is_cancelled_while_it_runs(split: ShardedStore) -> None:
    began = threading.Semaphore(0)

    def endless() -> None:
        began.release()
        pause = threading.Event()
        while True:
            pause.wait(0.01)

    def reports() -> None:
        endless()

    def letters() -> None:
        endless()

    broker = a_broker(split, reports, letters)
    ids = [send(broker, "reports"), send(broker, "letters")]
    with at_work(broker):
        assert began.acquire(timeout=20)
        assert began.acquire(timeout=20)
        split.cancel(ids)
        eventually(lambda: [state_of(split, i) for i in ids] == [JobState.CANCELLED] * 2)


def test_threads_are_named_by_their_part_and_all_are_watched(split: ShardedStore) -> None:
    def reports() -> None: ...

    broker = a_broker(split, reports)
    with at_work(broker):
        sides = broker.lifecycle._sides
        watched = {name for side in sides.values() for name in side.services}
        alive = {thread.name for thread in threading.enumerate()}
    assert watched == {f"{role}-{part}" for role in ("exchange", "listener", "signals") for part in sides}
    assert {f"callboard-{name}" for name in watched} <= alive
