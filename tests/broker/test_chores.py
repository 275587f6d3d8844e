"""What a worker process does now and then: its heartbeat, its rules, and the tidying that any one does."""

from dataclasses import replace

import pytest

from broker.worker.chores import READERS_EVERY_S, REGISTER_EVERY_S, TRIM_AGAIN_S, Chores
from broker.worker.registry import Identity, resident_bytes
from jobs.memory import MemoryStore
from jobs.model import FetchRequest, Outcome, Retention, Verdict, WorkerInfo
from jobs.rules import QueueRules
from jobs.states import JobState
from tests.broker.hands import a_job
from tests.waiting import eventually

LEASE_MS = 60_000


class Store(MemoryStore):
    """Notes which verbs were called."""

    def __init__(self) -> None:
        super().__init__()
        self.called: list[str] = []

    def register(self, worker: WorkerInfo, lease_ms: int) -> bool:
        self.called.append("register")
        return super().register(worker, lease_ms)

    def configure(self, *rules: object) -> None:
        self.called.append("configure")
        super().configure(*rules)  # type: ignore[arg-type]

    def reclaim(self, max_lost: int, limit: int = 100) -> int:
        self.called.append("reclaim")
        return super().reclaim(max_lost, limit)

    def keep_readers(self, readers: object) -> None:
        self.called.append(f"keep {' '.join(sorted(readers))}")  # type: ignore[arg-type, call-overload]
        super().keep_readers(readers)  # type: ignore[arg-type]


@pytest.fixture
def memory() -> Store:
    return Store()


def info(owner: str = "w") -> WorkerInfo:
    return WorkerInfo(owner, "host", 1, "0.1.0", 2, ("q",), started_at=0, readers=("audit",))


def chores(store: MemoryStore, **changes: object) -> Chores:
    return replace(Chores(store, info, dict, dict, LEASE_MS, 3), **changes)  # type: ignore[arg-type]


def test_the_lease_comes_first_and_the_rules_before_anything_is_fetched(memory: Store) -> None:
    configuration = ({"q": QueueRules(global_concurrency=2)}, {"acme": 2.0})
    chores(memory, configuration=lambda: configuration)(1_000.0)
    assert memory.called[:2] == ["register", "configure"]
    memory.enqueue([a_job(str(n)) for n in range(5)])
    assert len(memory.fetch(FetchRequest("w", "t", 5, {"q": 5})).jobs) == 2


def test_the_rules_are_told_again_only_when_the_store_was_away(memory: Store) -> None:
    every = chores(memory, configuration=lambda: ({"q": QueueRules()}, {}))
    every(1_000.0)
    every(1_000.0 + REGISTER_EVERY_S)
    assert memory.called.count("register") == 2
    assert memory.called.count("configure") == 1
    every.outage()
    memory.called.clear()
    every(1_001.0 + REGISTER_EVERY_S)
    assert memory.called[:2] == ["register", "configure"]


def test_what_the_store_gave_but_never_arrived_is_handed_back(memory: Store) -> None:
    memory.enqueue([a_job("held"), a_job("stray")])
    memory.fetch(FetchRequest("w", "t", 2, {"q": 2}))
    chores(memory, held=lambda: {"held": 1})(1_000.0)
    assert memory.owned("w") == {"held": 1}
    stray = memory.get("stray")
    assert stray is not None
    assert (stray.state, stray.attempts) == (JobState.WAITING, 0)


def test_what_we_hold_and_the_store_has_given_to_others_is_let_go(
    memory: Store, caplog: pytest.LogCaptureFixture
) -> None:
    memory.enqueue([a_job("ours")])
    memory.fetch(FetchRequest("w", "t", 1, {"q": 1}))
    told: list[object] = []

    def keep_only(owned: object) -> int:
        told.append(owned)
        return 2

    chores(memory, held=lambda: {"ours": 1}, keep_only=keep_only)(1_000.0)
    assert told == [{"ours": 1}]
    assert "Let go of 2 unstarted jobs" in caplog.text


def test_a_store_that_lost_its_data_is_told_the_rules_again_by_the_next_heartbeat(memory: Store) -> None:
    every = chores(memory, configuration=lambda: ({"q": QueueRules(global_concurrency=2)}, {}))
    every(1_000.0)
    every(1_000.0 + REGISTER_EVERY_S)
    assert memory.called.count("configure") == 1
    memory.__init__()  # type: ignore[misc]
    every(1_000.0 + 2 * REGISTER_EVERY_S)
    assert "configure" in memory.called
    memory.enqueue([a_job(str(n)) for n in range(5)])
    assert len(memory.fetch(FetchRequest("w", "t", 5, {"q": 5})).jobs) == 2


def test_a_heartbeat_asks_what_shall_be_cancelled(memory: Store) -> None:
    memory.enqueue([a_job("one"), a_job("two")])
    memory.fetch(FetchRequest("w", "t", 2, {"q": 2}))
    memory.cancel(["two"])
    cancelled = list[str]()
    chores(memory, held=lambda: {"one": 1, "two": 1}, cancel=cancelled.append)(1_000.0)
    assert cancelled == ["two"]


class TestReaders:
    """A reader that was configured away must not hold the event stream; one that somebody has must stay."""

    def test_those_of_all_live_workers_stay(self, memory: Store) -> None:
        memory.register(replace(info("other"), readers=("alerts",)), LEASE_MS)
        chores(memory, readers=["audit"])(1_000.0)
        assert memory.called[-1] == "keep alerts audit"

    def test_none_is_forgotten_while_an_older_release_runs(self, memory: Store) -> None:
        memory.register(replace(info("other"), readers=None), LEASE_MS)
        chores(memory, readers=["audit"])(1_000.0)
        assert memory.called[-1] == "reclaim"

    def test_once_it_has_gone_what_it_read_is_forgotten(self, memory: Store) -> None:
        memory.read_events("alerts", "x")
        memory.register(replace(info("other"), readers=None), LEASE_MS)
        every = chores(memory, readers=["audit"])
        every(1_000.0)
        memory.leave("other")
        every(1_000.0 + READERS_EVERY_S)
        assert memory.called[-1] == "keep audit"


def test_dead_letters_of_a_queue_that_nobody_serves_leave_too(memory: Store) -> None:
    memory.enqueue([a_job("old", "retired")])
    (job,) = memory.fetch(FetchRequest("w", "t", 1, {"retired": 1})).jobs
    memory.settle("w", [Verdict(job.id, job.token, Outcome.COMPLETED)])
    every = chores(memory, retention=lambda: {"retired": Retention(completed_ms=0)})
    eventually(lambda: (every(1_000.0), every._due.clear(), memory.get("old"))[-1] is None)


def test_the_registry_says_what_a_process_is_and_does() -> None:
    running = [0]
    identity = Identity(
        owner="w",
        name="",
        version="0.1",
        threads=8,
        actors=("mail",),
        readers=("audit",),
        queues=lambda: ["b", "a"],
        running=lambda: running[0],
    )
    running[0] = 3
    worker = identity()
    assert (worker.queues, worker.actors, worker.readers, worker.running) == (
        ("a", "b"),
        ("mail",),
        ("audit",),
        3,
    )
    assert worker.name == f"{worker.host}:{worker.pid}"
    assert 5_000_000 < worker.memory_bytes < 4_000_000_000


def test_memory_is_told_where_the_system_has_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_file(name: str) -> object:
        raise FileNotFoundError(name)

    monkeypatch.setattr("builtins.open", no_such_file)
    assert resident_bytes() > 5_000_000


def test_old_jobs_go_a_chunk_at_a_time_so_that_the_others_are_not_kept_waiting(
    memory: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.worker.chores.TRIM_CHUNK", 10)
    memory.enqueue([a_job(str(number)) for number in range(25)])
    jobs = memory.fetch(FetchRequest("w", "t", 25, {"q": 25})).jobs
    memory.settle("w", [Verdict(job.id, job.token, Outcome.COMPLETED) for job in jobs])
    every = chores(memory, retention=lambda: {"q": Retention(completed_ms=0)})
    eventually(
        lambda: (every(1_000.0), every._due.clear(), len(memory.list_jobs("q", JobState.COMPLETED)))[-1] == 15
    )

    assert every(2_000.0) == 2_000.0 + TRIM_AGAIN_S
    assert len(memory.list_jobs("q", JobState.COMPLETED)) == 5
    assert every(2_000.0 + TRIM_AGAIN_S) > 2_001.0, "that was the rest"
    assert memory.list_jobs("q", JobState.COMPLETED) == []
