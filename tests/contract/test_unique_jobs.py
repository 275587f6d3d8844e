"""At most one job for each key of a tenant's actor, in five ways."""

import pytest

from jobs.model import Accepted, NewJob, Outcome, UniqueMode
from jobs.states import JobState
from jobs.store import JobStore
from tests.contract.clock import Clock
from tests.contract.steps import a_job, fetch, ids, lose, settle, state_of, take, unique

KEEPS_THE_FIRST = [UniqueMode.UNTIL_STARTED, UniqueMode.UNTIL_FINISHED, UniqueMode.THROTTLE]
KEEPS_THE_NEWEST = [UniqueMode.DEBOUNCE, UniqueMode.LATEST]


def enqueue(store: JobStore, job: NewJob) -> Accepted:
    (accepted,) = store.enqueue([job])
    return accepted


@pytest.mark.parametrize("mode", KEEPS_THE_FIRST)
def test_while_the_first_waits_a_second_is_not_added_and_the_first_is_named(
    store: JobStore, mode: UniqueMode
) -> None:
    enqueue(store, a_job("one", unique=unique(mode)))
    assert enqueue(store, a_job("two", unique=unique(mode))) == Accepted("one", False)
    assert store.get("two") is None


@pytest.mark.parametrize("mode", KEEPS_THE_NEWEST)
def test_while_the_first_waits_a_second_takes_its_place(store: JobStore, mode: UniqueMode) -> None:
    enqueue(store, a_job("one", unique=unique(mode)))
    assert enqueue(store, a_job("two", unique=unique(mode))) == Accepted("two", True, replaced="one")
    assert store.get("one") is None
    assert ids(fetch(store)) == ["two"]


@pytest.mark.parametrize("mode", KEEPS_THE_NEWEST)
def test_a_delayed_one_is_replaced_too_so_a_burst_runs_once(
    store: JobStore, clock: Clock, mode: UniqueMode
) -> None:
    for name in ("one", "two", "three"):
        enqueue(store, a_job(name, delay_ms=1_000, unique=unique(mode)))
        clock.advance(900)
    assert fetch(store).jobs == []
    clock.advance(100)
    assert ids(fetch(store)) == ["three"]


@pytest.mark.parametrize("mode", UniqueMode)
def test_what_was_replaced_or_not_added_is_one_job_in_one_call_too(store: JobStore, mode: UniqueMode) -> None:
    store.enqueue([a_job("one", unique=unique(mode)), a_job("two", unique=unique(mode))])
    assert len(fetch(store).jobs) == 1


@pytest.mark.parametrize(
    ("mode", "added"),
    [
        (UniqueMode.UNTIL_STARTED, True),
        (UniqueMode.UNTIL_FINISHED, False),
        (UniqueMode.THROTTLE, False),
        (UniqueMode.DEBOUNCE, True),
        (UniqueMode.LATEST, True),
    ],
)
def test_while_the_first_runs(store: JobStore, mode: UniqueMode, added: bool) -> None:
    enqueue(store, a_job("one", unique=unique(mode)))
    take(store)
    accepted = enqueue(store, a_job("two", unique=unique(mode)))
    assert accepted == (Accepted("two", True) if added else Accepted("one", False))
    assert state_of(store, "one") is JobState.ACTIVE


@pytest.mark.parametrize("mode", UniqueMode)
@pytest.mark.parametrize("end", [Outcome.COMPLETED, Outcome.FAILED, Outcome.CANCELLED])
def test_after_the_first_ended_a_second_is_added(store: JobStore, mode: UniqueMode, end: Outcome) -> None:
    enqueue(store, a_job("one", unique=unique(mode)))
    settle(store, take(store), end)
    assert enqueue(store, a_job("two", unique=unique(mode))).created


@pytest.mark.parametrize("mode", UniqueMode)
def test_a_job_that_leaves_before_it_starts_lets_go_of_its_key(store: JobStore, mode: UniqueMode) -> None:
    enqueue(store, a_job("one", unique=unique(mode)))
    store.remove(["one"])
    enqueue(store, a_job("two", unique=unique(mode)))
    store.cancel(["two"])
    assert enqueue(store, a_job("three", unique=unique(mode))) == Accepted("three", True)


def test_until_finished_holds_through_retries(store: JobStore, clock: Clock) -> None:
    mode = UniqueMode.UNTIL_FINISHED
    enqueue(store, a_job("one", unique=unique(mode)))
    settle(store, take(store), Outcome.RETRY, delay_ms=1_000)
    assert not enqueue(store, a_job("two", unique=unique(mode))).created
    clock.advance(1_000)
    settle(store, take(store), Outcome.COMPLETED)
    assert enqueue(store, a_job("two", unique=unique(mode))).created


def test_until_finished_holds_when_the_worker_dies(store: JobStore, clock: Clock) -> None:
    mode = UniqueMode.UNTIL_FINISHED
    enqueue(store, a_job("one", unique=unique(mode)))
    take(store, "dead", lease_ms=10_000)
    lose(store, clock, "dead")
    assert not enqueue(store, a_job("two", unique=unique(mode))).created


def test_throttle_lasts_its_time_whatever_became_of_the_first(store: JobStore, clock: Clock) -> None:
    mode = unique(UniqueMode.THROTTLE, ttl_ms=60_000)
    enqueue(store, a_job("one", unique=mode))
    settle(store, take(store), Outcome.COMPLETED, remove=True)
    clock.advance(59_999)
    assert enqueue(store, a_job("two", unique=mode)) == Accepted("one", False)
    clock.advance(1)
    assert enqueue(store, a_job("three", unique=mode)).created


@pytest.mark.parametrize("mode", KEEPS_THE_FIRST)
def test_a_key_with_a_time_ends_with_it_even_while_the_first_waits(
    store: JobStore, clock: Clock, mode: UniqueMode
) -> None:
    enqueue(store, a_job("one", unique=unique(mode, ttl_ms=1_000)))
    clock.advance(1_000)
    assert enqueue(store, a_job("two", unique=unique(mode, ttl_ms=1_000))).created
    assert len(fetch(store).jobs) == 2


@pytest.mark.parametrize("back", [Outcome.RETURNED, Outcome.HELD])
@pytest.mark.parametrize("mode", [UniqueMode.UNTIL_STARTED, UniqueMode.DEBOUNCE])
def test_what_did_not_start_after_all_holds_its_key_again(
    store: JobStore, mode: UniqueMode, back: Outcome
) -> None:
    enqueue(store, a_job("one", unique=unique(mode)))
    settle(store, take(store), back)
    accepted = enqueue(store, a_job("two", unique=unique(mode)))
    assert (accepted.id, accepted.created, accepted.replaced) in [("one", False, None), ("two", True, "one")]


def test_what_did_not_start_after_all_leaves_the_key_to_a_newer_job(store: JobStore) -> None:
    mode = unique(UniqueMode.DEBOUNCE)
    enqueue(store, a_job("one", unique=mode))
    job = take(store)
    enqueue(store, a_job("two", unique=mode))
    settle(store, job, Outcome.RETURNED)
    assert enqueue(store, a_job("three", unique=mode)).replaced == "two"
    assert ids(fetch(store)) == ["one", "three"]


def test_keys_of_tenants_and_actors_are_apart(store: JobStore) -> None:
    mode = unique(UniqueMode.UNTIL_FINISHED)
    answers = store.enqueue(
        [
            a_job("one", lane="acme", unique=mode),
            a_job("two", lane="beta", unique=mode),
            a_job("three", lane="acme", actor="other", unique=mode),
            a_job("four", lane="acme", unique=unique(UniqueMode.UNTIL_FINISHED, key="invoice-8")),
            a_job("five", lane="acme", unique=mode),
        ]
    )
    assert [answer.created for answer in answers] == [True, True, True, True, False]


def test_a_suspect_is_not_replaced(store: JobStore, clock: Clock) -> None:
    """It may be what kills workers: that must come out."""
    mode = unique(UniqueMode.DEBOUNCE)
    enqueue(store, a_job("one", unique=mode))
    take(store, "dead", lease_ms=10_000)
    lose(store, clock, "dead")
    assert enqueue(store, a_job("two", unique=mode)) == Accepted("two", True)
    assert state_of(store, "one") is JobState.WAITING
