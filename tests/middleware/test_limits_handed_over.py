"""A place goes from the job that ends to the next one in the same step of the store: what that costs."""

import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest

from broker.redis.connection import RedisAddress
from broker.redis.redis_limits import RedisLimits
from broker.redis.redis_store import RedisStore
from broker.redis.scripts import Script, Scripts, load_script
from jobs.limits import Algorithm, Grant, Terms, WaitScope, Want, key_of
from jobs.model import FetchedJob, FetchRequest, NewJob, Outcome, Verdict
from jobs.rules import QueueRules
from tests.waiting import eventually

WANT = Want(key_of("at-once"), "at-once", Algorithm.CONCURRENCY, Terms(1))
LONGER = ("state.lasts <= 500 ", "state.lasts <= 60000 ")
QUEUE, TENANTS = "mail", ("acme", "beta", "zeta")


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine too what stands by does so until it is called, and every place is brief."""
    load, is_handed_over = Scripts._load, RedisLimits._is_handed_over

    def patient(self: Scripts, script: Script) -> str:
        return load(self, replace(script, body=script.body.replace(*LONGER)))

    monkeypatch.setattr(Scripts, "_load", patient)
    monkeypatch.setattr(RedisLimits, "_is_handed_over", lambda self, on, ms: is_handed_over(self, on, 4_000))


def test_what_makes_these_tests_unhurried_is_in_the_script() -> None:
    assert LONGER[0] in load_script("acquire").body


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The scripts that were run, by round trip."""
    seen: list[tuple[str, ...]] = []
    run_all = Scripts.run_all

    def noting(self: Scripts, asked: Sequence[tuple[str, Any, Any]]) -> list[Any]:
        seen.append(tuple(name for name, *_ in asked))
        return run_all(self, asked)

    monkeypatch.setattr(Scripts, "run_all", noting)
    return seen


@dataclass
class Process:
    """What a worker process with one thread does, by hand."""

    store: RedisStore
    owner: str
    threads: ThreadPoolExecutor
    job: FetchedJob | None = None
    answer: Future[Grant] | None = None

    def fetch(self) -> list[str]:
        """Settle the job before it and take the next, in one round trip."""
        verdicts = [Verdict(self.job.id, self.job.token, Outcome.COMPLETED)] if self.job else []
        request = FetchRequest(self.owner, uuid.uuid4().hex, 1, {QUEUE: 1}, lease_ms=60_000)
        found = self.store.settle_and_fetch(verdicts, request)[1].jobs
        self.job = found[0] if found else None
        return [job.id for job in found]

    def ask(self, waits: WaitScope = WaitScope.QUEUE, *, in_run: bool = False) -> None:
        assert self.job is not None
        self.answer = self.threads.submit(
            self.store.acquire,
            self.owner,
            self.job.id,
            self.job.token,
            [WANT._replace(waits=waits)],
            queue=QUEUE,
            request=int(in_run),
            patience_ms=40,
        )

    def granted(self) -> bool:
        assert self.answer is not None
        return self.answer.result(timeout=20).granted

    def give_back(self, *, in_run: bool = False) -> None:
        assert self.job is not None
        self.store.give_back(self.job.id, self.job.token, int(in_run), queue=QUEUE)

    def hold(self) -> None:
        assert self.job is not None
        held, self.job = Verdict(self.job.id, self.job.token, Outcome.HELD, delay_ms=60_000), None
        self.store.settle(self.owner, [held])

    def is_standing(self) -> bool:
        with self.store._link.talking() as opened:
            return int(opened.client.zlexcount(self.store.keys.of("limited"), "[s\x1f", "(s ")) == 1  # type: ignore[arg-type]


@pytest.fixture
def two(redis_address: RedisAddress, namespace: str) -> Iterator[tuple[Process, Process]]:
    stores = [RedisStore(lambda: redis_address, namespace) for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:
        yield Process(stores[0], "w0", threads), Process(stores[1], "w1", threads)
    for store in stores:
        store.close()


def put(store: RedisStore, each: int) -> None:
    jobs = [
        NewJob(f"{tenant}{n}", QUEUE, "mail", b"", lane=tenant) for n in range(each) for tenant in TENANTS
    ]
    store.enqueue(jobs)
    assert store.wait_for_work([QUEUE], 1_000) == QUEUE  # the news of these jobs


def let_it_be_brief(process: Process) -> None:
    process.fetch()
    process.ask()
    assert process.granted()
    process.give_back()


def test_a_hand_over_to_another_process_is_one_call_of_the_one_that_ends(
    two: tuple[Process, Process], calls: list[tuple[str, ...]]
) -> None:
    """The other one's only call for it was made before, while the place was still held."""
    put(two[0].store, 4)
    ends, stands = two
    let_it_be_brief(ends)
    order = ends.fetch()
    ends.ask()
    assert ends.granted()
    order += stands.fetch()
    stands.ask()
    for _ in range(8):
        eventually(stands.is_standing, every=0.001)
        calls.clear()
        ends.give_back()
        assert stands.granted()
        assert calls == [("give_back",)]
        order += ends.fetch()
        ends.ask()
        ends, stands = stands, ends
        eventually(stands.is_standing, every=0.001)
        assert calls == [("give_back",), ("settle", "fetch"), ("acquire",)]
    # Tenants take their turns as ever, and nobody was woken for any of this.
    assert order == [f"{tenant}{n}" for n in range(4) for tenant in TENANTS][1 : len(order) + 1]
    assert two[0].store.wait_for_work([QUEUE], 2) is None
    ends.give_back()
    assert stands.granted()


def test_what_waits_by_itself_is_called_while_the_place_is_held(
    two: tuple[Process, Process], calls: list[tuple[str, ...]]
) -> None:
    """As jobs do that take a permit in their run: all were refused before it was known how brief it is."""
    one, other = two
    put(one.store, 1)
    one.fetch()
    one.ask(WaitScope.JOB, in_run=True)
    assert one.granted()
    for _ in range(2):
        other.fetch()
        other.ask(WaitScope.JOB, in_run=True)
        assert not other.granted()
        other.hold()
    one.give_back(in_run=True)
    assert one.fetch() == ["beta0"]
    assert other.fetch() == []
    one.ask(WaitScope.JOB, in_run=True)
    assert one.granted()
    assert other.store.wait_for_work([QUEUE], 1_000) == QUEUE
    assert other.fetch() == ["zeta0"]
    other.ask(WaitScope.JOB, in_run=True)
    eventually(other.is_standing, every=0.001)
    calls.clear()
    one.give_back(in_run=True)
    assert other.granted()
    assert calls == [("give_back",)]


def test_under_a_cap_the_process_that_ends_a_job_starts_the_next_in_the_same_round_trip(
    two: tuple[Process, Process], calls: list[tuple[str, ...]]
) -> None:
    runs, idle = two
    runs.store.configure({QUEUE: QueueRules(global_concurrency=1)}, {})
    put(runs.store, 4)
    order = runs.fetch()
    assert idle.fetch() == []
    calls.clear()
    while len(order) < 12:
        order += runs.fetch()
    assert calls == [("settle", "fetch")] * 11
    assert order == [f"{tenant}{n}" for n in range(4) for tenant in TENANTS]
    assert idle.store.wait_for_work([QUEUE], 2) is None, "the place was never anybody else's"


def test_nobody_stands_by_in_the_last_place_of_a_cap_that_others_could_use(
    two: tuple[Process, Process], calls: list[tuple[str, ...]]
) -> None:
    runs, waits = two
    put(runs.store, 2)
    let_it_be_brief(runs)
    runs.store.configure({QUEUE: QueueRules(global_concurrency=2)}, {})
    runs.fetch()
    runs.ask()
    assert runs.granted()
    waits.fetch()
    calls.clear()
    waits.ask(WaitScope.LANE)
    assert not waits.granted()
    assert calls == [("acquire",)], "it was refused at once"
    # Where all of the queue waits for the same, nobody else could.
    waits.ask(WaitScope.QUEUE)
    eventually(waits.is_standing, every=0.001)
    runs.give_back()
    assert waits.granted()
