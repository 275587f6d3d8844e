"""The one table of what may follow what, and that both stores keep to it."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.redis.connection import RedisAddress
from jobs.errors import IllegalTransition
from jobs.memory import MemoryStore
from jobs.model import FetchedJob, FetchRequest, NewJob, Outcome, Retention, Verdict, WorkerInfo
from jobs.states import SETTLED, TRANSITIONS, JobState, check_transition
from jobs.store import JobStore
from tests.contract.clock import Clock, redis_store_with

EVERYTHING: list[JobState | None] = [None, *JobState]
LEGAL = {
    ("", "waiting"),
    ("", "delayed"),
    ("", "blocked"),
    ("waiting", "active"),
    ("waiting", "cancelled"),
    ("waiting", ""),
    ("delayed", "waiting"),
    ("delayed", "cancelled"),
    ("delayed", ""),
    ("blocked", "waiting"),
    ("blocked", "delayed"),
    ("blocked", "cancelled"),
    ("blocked", "failed"),
    ("blocked", ""),
    ("active", "completed"),
    ("active", "delayed"),
    ("active", "waiting"),
    ("active", "failed"),
    ("active", "cancelled"),
    ("completed", ""),
    ("failed", "waiting"),
    ("failed", ""),
    ("cancelled", "waiting"),
    ("cancelled", ""),
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(EVERYTHING, EVERYTHING)))
def test_the_table(before: JobState | None, after: JobState | None) -> None:
    if (before or "", after or "") in LEGAL:
        check_transition(before, after)
    else:
        with pytest.raises(IllegalTransition, match=f"from {before or 'nothing'} to {after or 'nothing'}"):
            check_transition(before, after)


def test_every_state_can_be_reached_and_left() -> None:
    assert set(TRANSITIONS) == set(EVERYTHING)
    assert {state for after in TRANSITIONS.values() for state in after} == set(EVERYTHING)


def test_settled_is_what_only_an_operator_or_time_can_change() -> None:
    assert {state for state in JobState if state.settled} == SETTLED
    for state in SETTLED:
        assert TRANSITIONS[state] <= {None, JobState.WAITING}


# Both stores, put through anything that users and workers can do

QUEUE = "count"
OUTCOMES = [outcome for outcome in Outcome if outcome is not Outcome.LOST]
NUMBERS = range(5)
WATCHING = WorkerInfo("watching", "host", 1, "0.1.0", 1, (QUEUE,), started_at=0)
picks = st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=3)
delays = st.sampled_from([0, 0, 5_000])
STEPS = st.one_of(
    st.tuples(st.just("enqueue"), st.sampled_from(NUMBERS), delays),
    st.tuples(st.just("fetch"), st.integers(1, 3)),
    st.tuples(st.just("settle"), st.integers(0, 9), st.sampled_from(OUTCOMES), delays),
    st.tuples(st.just("reclaim"), st.integers(1, 2)),
    st.tuples(st.sampled_from(["promote", "cancel", "remove", "retry_dead"]), picks),
    st.tuples(st.sampled_from(["wait", "leave", "drain", "trim", "obliterate"])),
)


class Driver:
    """Takes steps on a store, and checks after each what became of the jobs."""

    def __init__(self, store: JobStore, clock: Clock) -> None:
        self.store, self.clock, self.run = store, clock, clock.now
        self.states: dict[str, JobState | None] = {self.id(number): None for number in NUMBERS}
        self.held: list[FetchedJob] = []

    def id(self, number: int) -> str:
        return f"{self.run}-{number}"

    def take(self, kind: str, *details: Any) -> None:
        self.clock.advance(1)
        match kind, details:
            case "wait", ():
                self.clock.advance(5_000)
            case "enqueue", (number, delay):
                self.store.enqueue([NewJob(self.id(number), QUEUE, "count", b"[]", delay_ms=delay)])
            case "fetch", (credits,):
                self.fetch("looks", 0)  # so that what falls due and starts is seen in between
                self.check()
                self.held += self.fetch("w", credits)
            case "settle", (at, outcome, delay) if self.held:
                job = self.held[at % len(self.held)]
                self.store.settle("w", [Verdict(job.id, job.token, outcome, delay)])
            case "reclaim", (max_lost,):
                for _ in range(3):
                    self.clock.advance(8_000)
                    self.store.register(WATCHING, 60_000)
                self.store.reclaim(max_lost)
            case (("promote" | "cancel" | "remove" | "retry_dead"), (numbers,)):
                getattr(self.store, kind)([self.id(number) for number in numbers])
            case "leave", ():
                self.store.leave("w")
            case (("drain" | "obliterate"), ()):
                getattr(self.store, kind)(QUEUE)
            case "trim", ():
                self.store.trim({QUEUE: Retention(0, 0)})

    def fetch(self, owner: str, credits: int) -> list[FetchedJob]:
        return self.store.fetch(FetchRequest(owner, str(self.clock.now), credits, {QUEUE: 9}, 20_000)).jobs

    def check(self) -> None:
        for job_id, before in self.states.items():
            job = self.store.get(job_id)
            after = None if job is None else job.state
            if after is not before:
                check_transition(before, after)
                self.states[job_id] = after


@pytest.fixture(params=["memory", "redis"])
def driver(request: pytest.FixtureRequest, namespace: str) -> Iterator[Any]:
    clock = Clock()
    if request.param == "memory":
        yield lambda: Driver(MemoryStore(clock), clock)
        return
    address: RedisAddress = request.getfixturevalue("redis_address")
    redis = redis_store_with(clock, address, namespace)
    yield lambda: Driver(redis, clock)
    redis.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=25))
def test_a_store_moves_jobs_only_as_the_table_allows(driver: Any, steps: list[tuple[Any, ...]]) -> None:
    driven = driver()
    for kind, *details in steps:
        driven.take(kind, *details)
        driven.check()
    driven.clock.advance(10**6)
    driven.store.leave("w")
    driven.store.obliterate(QUEUE)
