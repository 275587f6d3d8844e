"""The one table of what may follow what, and that both stores keep to it."""

import itertools
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.connection import RedisAddress
from broker.redis_store import RedisStore
from jobs.errors import IllegalTransition
from jobs.memory import MemoryStore
from jobs.model import FetchedJob, FetchRequest, NewJob, Outcome, Retention, Verdict
from jobs.states import SETTLED, TRANSITIONS, JobState, check_transition
from jobs.store import JobStore

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
OUTCOMES = [Outcome.COMPLETED, Outcome.FAILED, Outcome.CANCELLED, Outcome.RETRY, Outcome.RETURNED]
STEPS = st.one_of(
    st.tuples(st.just("enqueue"), st.integers(0, 4), st.sampled_from([0, 3_600_000])),
    st.tuples(st.just("fetch"), st.integers(1, 3)),
    st.tuples(
        st.just("settle"), st.integers(0, 9), st.sampled_from(OUTCOMES), st.sampled_from([0, 3_600_000])
    ),
    st.tuples(st.just("leave")),
    st.tuples(st.just("flush")),
    st.tuples(st.just("trim")),
)


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest, namespace: str) -> Iterator[JobStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    address: RedisAddress = request.getfixturevalue("redis_address")
    redis = RedisStore(lambda: address, namespace)
    yield redis
    redis.close()


def take(store: JobStore, kind: str, details: list[object], held: list[FetchedJob], run: str) -> None:
    match kind, details:
        case "enqueue", [number, delay]:
            job = NewJob(f"{run}-{number}", QUEUE, "count", b"[]", delay_ms=delay, max_attempts=1_000)  # type: ignore[arg-type]
            store.enqueue([job])
        case "fetch", [credits]:
            request = FetchRequest("w", uuid.uuid4().hex, credits, {QUEUE: (credits, None)})  # type: ignore[arg-type, dict-item]
            held.extend(store.fetch(request).jobs)
        case "settle", [at, outcome, delay] if held:
            job = held[at % len(held)]  # type: ignore[operator]
            verdict = Verdict(job.id, job.token, outcome, delay_ms=delay, dead_letter="dead")  # type: ignore[arg-type]
            store.settle("w", [verdict])
        case "leave", []:
            store.leave("w")
        case "flush", []:
            store.flush(QUEUE)
        case "trim", []:
            store.trim({QUEUE: Retention(0, 0)})


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=25))
def test_a_store_moves_jobs_only_as_the_table_allows(
    store: JobStore, steps: list[tuple[object, ...]]
) -> None:
    run = uuid.uuid4().hex
    store.flush(QUEUE)
    ids = [f"{run}-{number}" for number in range(5)]
    states: dict[str, JobState | None] = dict.fromkeys(ids)
    held: list[FetchedJob] = []
    for kind, *details in steps:
        take(store, str(kind), details, held, run)
        for job_id, before in states.items():
            job = store.get(job_id)
            now = None if job is None else job.state
            if now is not before:
                check_transition(before, now)
                states[job_id] = now
    store.leave("w")
