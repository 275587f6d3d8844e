"""A job that no worker was given can be taken back as if it had not been sent, and sent again."""

import pytest

from jobs.model import Accepted, NewJob, Outcome, UniqueMode
from jobs.states import JobState
from jobs.store import JobStore
from tests.contract.clock import Clock
from tests.contract.steps import a_job, count, settle, state_of, take, unique


def enqueue(store: JobStore, job: NewJob) -> Accepted:
    (accepted,) = store.enqueue([job])
    return accepted


def test_what_was_never_given_to_a_worker_is_taken_back_and_its_id_is_free(store: JobStore) -> None:
    store.enqueue([a_job("waits", marker_ms=10**9), a_job("delayed", delay_ms=60_000, marker_ms=10**9)])
    assert store.withdraw(["waits", "delayed", "unknown"]) == [True, True, False]
    assert store.get("waits") is store.get("delayed") is None
    assert (count(store).waiting, count(store).delayed) == (0, 0)
    assert store.withdraw(["waits"]) == [False]

    again = store.enqueue([a_job("waits", payload=b"new"), a_job("delayed", payload=b"new")])
    assert [one.created for one in again] == [True, True]
    job = store.get("delayed")
    assert job is not None
    assert (job.state, job.payload) == (JobState.WAITING, b"new")


def test_what_a_worker_has_or_had_stays(store: JobStore, clock: Clock) -> None:
    for name in ("runs", "done", "retried"):
        enqueue(store, a_job(name))
    done, retried = take(store), take(store)
    settle(store, done)
    settle(store, retried, Outcome.RETRY, delay_ms=60_000)
    running = take(store)
    names = [running.id, done.id, retried.id]
    assert store.withdraw(names) == [False, False, False]
    assert [state_of(store, name) for name in names] == [
        JobState.ACTIVE,
        JobState.COMPLETED,
        JobState.DELAYED,
    ]


@pytest.mark.parametrize("mode", UniqueMode)
def test_its_unique_key_is_free_also_one_that_is_held_for_a_time(store: JobStore, mode: UniqueMode) -> None:
    key = unique(mode, ttl_ms=60_000) if mode is UniqueMode.THROTTLE else unique(mode)
    enqueue(store, a_job("one", unique=key))
    store.withdraw(["one"])
    assert enqueue(store, a_job("one", unique=key)).created
    assert store.withdraw(["one"]) == [True]
    assert enqueue(store, a_job("two", unique=key)).created
