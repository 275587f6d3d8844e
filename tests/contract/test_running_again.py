"""Failed and cancelled jobs that are run again: once for each wish, and under their unique name."""

import pytest

from jobs.model import Outcome, UniqueMode
from jobs.states import JobState
from jobs.store import JobStore
from tests.contract.clock import Clock
from tests.contract.steps import a_job, fetch, found, ids, settle, state_of, take, unique

HOLDING = [UniqueMode.UNTIL_STARTED, UniqueMode.UNTIL_FINISHED, UniqueMode.DEBOUNCE, UniqueMode.LATEST]


def die(store: JobStore) -> None:
    settle(store, take(store), Outcome.FAILED)


def test_a_wish_that_is_repeated_does_not_run_what_failed_again_since(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one", max_attempts=1)])
    die(store)
    seen = found(store, "one").finished_at
    clock.advance(1_000)
    assert store.retry_dead(["one"], ended_by=seen) == [True]
    die(store)
    assert store.retry_dead(["one"], ended_by=seen) == [False]
    assert state_of(store, "one") is JobState.FAILED
    assert store.retry_dead(["one"]) == [True]


@pytest.mark.parametrize("mode", HOLDING)
def test_a_job_that_runs_again_holds_its_key_again(store: JobStore, mode: UniqueMode) -> None:
    store.enqueue([a_job("one", unique=unique(mode))])
    die(store)
    assert store.retry_dead(["one"]) == [True]
    (answer,) = store.enqueue([a_job("two", unique=unique(UniqueMode.UNTIL_FINISHED))])
    assert (answer.id, answer.created) == ("one", False)


@pytest.mark.parametrize("mode", HOLDING)
def test_a_job_does_not_run_again_beside_another_with_its_key(store: JobStore, mode: UniqueMode) -> None:
    store.enqueue([a_job("one", unique=unique(mode))])
    die(store)
    store.enqueue([a_job("two", unique=unique(mode))])
    assert store.retry_dead(["one"]) == [False]
    assert ids(fetch(store)) == ["two"]
    assert state_of(store, "one") is JobState.FAILED


def test_what_held_the_key_for_a_time_runs_again_within_it_and_after_it(
    store: JobStore, clock: Clock
) -> None:
    store.enqueue([a_job("one", unique=unique(UniqueMode.THROTTLE, ttl_ms=60_000))])
    die(store)
    assert store.retry_dead(["one"]) == [True]
    die(store)
    clock.advance(60_000)
    assert store.enqueue([a_job("two", unique=unique(UniqueMode.THROTTLE, ttl_ms=60_000))])[0].created
    assert store.retry_dead(["one"]) == [True]


@pytest.mark.parametrize("again", ["handed back", "retried"])
def test_the_time_of_a_key_is_counted_from_when_its_job_was_made(
    store: JobStore, clock: Clock, again: str
) -> None:
    kept = unique(UniqueMode.UNTIL_STARTED, ttl_ms=60_000)
    store.enqueue([a_job("one", unique=kept)])
    clock.advance(50_000)
    job = take(store)
    settle(store, job, Outcome.RETURNED if again == "handed back" else Outcome.FAILED)
    if again == "retried":
        store.retry_dead(["one"])
    clock.advance(9_000)
    assert store.enqueue([a_job("two", unique=kept)])[0].id == "one"
    clock.advance(1_000)
    assert store.enqueue([a_job("two", unique=kept)])[0].created


def test_each_cancellation_of_a_job_that_never_started_is_an_event_of_its_own(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    for _ in range(3):
        store.cancel(["one"])
        store.retry_dead(["one"])
    die(store)
    events = store.read_events("audit", "a").events
    assert [event.outcome for event in events] == [*[Outcome.CANCELLED] * 3, Outcome.FAILED]
    assert len({(event.attempt, event.token) for event in events}) == 4
