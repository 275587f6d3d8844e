"""A failure before the start spends nothing; and what is removed by its end is not what runs again since."""

from jobs.model import Outcome
from jobs.rules import QueueRules, Rate
from jobs.states import JobState
from jobs.store import JobStore
from tests.contract.clock import Clock
from tests.contract.steps import QUEUE, a_job, fetch, found, ids, settle, state_of, take


def test_a_job_that_failed_before_it_started_has_spent_no_attempt(store: JobStore) -> None:
    store.read_events("audit", "one")  # from now on there is a reader
    store.enqueue([a_job("late")])
    settle(store, take(store), Outcome.FAILED, record=b'{"error":{"type":"JobExpired"}}', unspent=True)
    job = found(store, "late")
    assert (job.state, job.attempts, job.deliveries) == (JobState.FAILED, 0, 1)
    (event,) = store.read_events("audit", "one").events
    assert (event.outcome, event.attempt, event.token) == (Outcome.FAILED, 0, 1)
    store.ack_events("audit", [event.id])


def test_it_takes_no_place_under_a_rate(store: JobStore) -> None:
    store.configure({QUEUE: QueueRules(rate=Rate(1, 60_000))}, {})
    store.enqueue([a_job("late"), a_job("next")])
    settle(store, take(store), Outcome.FAILED, unspent=True)
    assert ids(fetch(store)) == ["next"]


def test_any_other_failure_spends_what_it_took(store: JobStore) -> None:
    store.configure({QUEUE: QueueRules(rate=Rate(1, 60_000))}, {})
    store.enqueue([a_job("bad"), a_job("next")])
    settle(store, take(store), Outcome.FAILED)
    assert found(store, "bad").attempts == 1
    assert ids(fetch(store)) == []


def test_what_was_held_or_cut_short_in_its_run_has_begun(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one")])
    for outcome, unspent, begun in (
        (Outcome.RETURNED, False, False),
        (Outcome.HELD, True, False),  # kept from its run
        (Outcome.HELD, False, True),
        (Outcome.RETURNED, False, True),
    ):
        job = take(store)
        settle(store, job, outcome, unspent=unspent)
        clock.advance(5_000)
        job = take(store)
        assert (job.attempt, job.begun) == (1, begun)
        settle(store, job, Outcome.RETURNED)
    settle(store, take(store), Outcome.FAILED)
    assert store.retry_dead(["one"]) == [True]
    job = take(store)
    assert not job.begun, "run again by an operator it begins anew"
    settle(store, job, Outcome.INTERRUPTED)
    clock.advance(5_000)
    assert take(store).begun


def test_only_what_had_ended_by_then_is_removed(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job(name) for name in ("again", "later", "dead")])
    settle(store, take(store), Outcome.FAILED)
    settle(store, take(store), Outcome.FAILED)
    seen = found(store, "again").finished_at
    clock.advance(1_000)
    settle(store, take(store), Outcome.FAILED)
    store.retry_dead(["again"])
    assert store.remove(["again", "later", "dead", "nobody"], ended_by=seen) == [False, True, False, False]
    assert state_of(store, "again") is JobState.WAITING
    assert store.get("later") is None
    assert store.remove(["again", "dead"]) == [True, True]
