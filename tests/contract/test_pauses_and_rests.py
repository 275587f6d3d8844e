"""What may not run now is not fetched: paused or resting queues, lanes and gates, and jobs held alone."""

from jobs.model import Outcome, RestScope, Scope
from jobs.states import JobState
from jobs.store import JobStore
from tests.contract.clock import Clock
from tests.contract.steps import (
    QUEUE,
    a_job,
    count,
    fetch,
    found,
    ids,
    lane_of,
    of,
    rules,
    run_order,
    settle,
    some_jobs,
    state_of,
    take,
)

# Pauses


def test_a_paused_queue_starts_nothing_until_it_is_resumed(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    store.adjust(Scope(QUEUE), {"paused": True})
    assert count(store).paused
    paused = fetch(store)
    assert (paused.jobs, paused.more) == ([], ())
    store.enqueue([a_job("two")])
    store.adjust(Scope(QUEUE), {"paused": False})
    assert ids(fetch(store)) == ["one", "two"]
    assert store.adjustments() == {}


def test_what_runs_in_a_paused_queue_may_finish(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    job = take(store)
    store.adjust(Scope(QUEUE), {"paused": True})
    settle(store, job)
    assert state_of(store, "one") is JobState.COMPLETED


def test_a_paused_lane_leaves_the_others_alone(store: JobStore) -> None:
    store.enqueue(some_jobs("a", 3, lane="acme", gate="imap") + some_jobs("b", 3, lane="beta"))
    store.adjust(Scope(QUEUE, "acme"), {"paused": True})
    store.enqueue(some_jobs("c", 2, lane="acme"))
    assert of(ids(fetch(store))) == "bbb"
    assert (lane_of(store, "acme").paused, lane_of(store, "acme").resting) == (True, 5)
    store.adjust(Scope(QUEUE, "acme"), {"paused": False})
    assert len(fetch(store).jobs) == 5


def test_a_lane_that_was_paused_gets_no_credit_for_it(store: JobStore) -> None:
    store.enqueue(some_jobs("a", 20, lane="acme") + some_jobs("b", 40, lane="beta"))
    store.adjust(Scope(QUEUE, "acme"), {"paused": True})
    run_order(store, 20)
    store.adjust(Scope(QUEUE, "acme"), {"paused": False})
    assert of(run_order(store, 10)).count("a") in (5, 6)


# Rests


def test_a_resting_queue_starts_nothing_until_its_time(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one")])
    store.rest(Scope(QUEUE), 5_000, "the provider is down")
    resting = fetch(store)
    assert (resting.jobs, resting.next_due) == ([], clock.now + 5_000)
    assert count(store).resting == 1
    clock.advance(5_000)
    assert ids(fetch(store)) == ["one"]


def test_a_resting_lane_leaves_the_others_alone(store: JobStore, clock: Clock) -> None:
    store.enqueue(some_jobs("a", 2, lane="acme") + some_jobs("b", 2, lane="beta"))
    store.rest(Scope(QUEUE, "acme"), 5_000, "mailbox locked")
    assert of(ids(fetch(store))) == "bb"
    clock.advance(5_000)
    assert of(ids(fetch(store))) == "aa"


def test_a_resting_gate_leaves_its_lane_alone(store: JobStore) -> None:
    store.enqueue(some_jobs("g", 2, lane="acme", gate="imap") + some_jobs("f", 2, lane="acme"))
    store.rest(Scope(QUEUE, "acme", "imap"), 5_000, "mailbox locked")
    assert of(ids(fetch(store))) == "ff"


def test_a_resting_lane_rests_with_all_its_gates(store: JobStore) -> None:
    store.enqueue(some_jobs("g", 2, lane="acme", gate="imap") + some_jobs("f", 2, lane="acme"))
    store.rest(Scope(QUEUE, "acme"), 5_000, "mailbox locked")
    store.enqueue([a_job("new", lane="acme", gate="smtp")])
    assert fetch(store).jobs == []


def test_a_rest_can_be_ended(store: JobStore) -> None:
    for scope in (Scope(QUEUE), Scope(QUEUE, "acme"), Scope(QUEUE, "acme", "imap")):
        store.enqueue([a_job(lane="acme", gate="imap")])
        store.rest(scope, 5_000, "locked")
        assert fetch(store).jobs == []
        store.wake(scope)
        assert len(fetch(store).jobs) == 1


def test_of_two_rests_the_longer_one_counts(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one")])
    store.rest(Scope(QUEUE), 5_000, "long")
    store.rest(Scope(QUEUE), 1_000, "short")
    clock.advance(1_000)
    assert fetch(store).jobs == []


def test_a_pause_goes_on_when_a_rest_is_over(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one", lane="acme")])
    for scope in (Scope(QUEUE), Scope(QUEUE, "acme")):
        store.rest(scope, 1_000, "short")
        store.adjust(scope, {"paused": True})
        clock.advance(1_000)
        assert fetch(store).jobs == []
        store.adjust(scope, {"paused": None})
    assert ids(fetch(store)) == ["one"]


# Jobs that are held


def test_a_held_job_is_back_in_its_place_with_its_attempt(store: JobStore) -> None:
    store.enqueue([a_job("one"), a_job("two")])
    job = take(store)
    settle(store, job, Outcome.HELD)
    (first, _) = fetch(store).jobs
    assert (first.id, first.attempt, first.token) == ("one", 1, 2)


def test_a_hold_spends_no_attempt_however_often(store: JobStore) -> None:
    store.enqueue([a_job("one", max_attempts=1)])
    for _ in range(5):
        settle(store, take(store), Outcome.HELD)
    assert take(store).attempt == 1
    assert store.read_events("audit", "reader").events == []


def test_a_job_held_by_itself_rests_alone_and_then_is_first_again(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one"), a_job("two"), a_job("three")])
    settle(store, take(store), Outcome.HELD, delay_ms=5_000, reason="token bucket empty")
    held = found(store, "one")
    assert (held.state, held.held_until) == (JobState.WAITING, clock.now + 5_000)
    assert held.held_reason == "token bucket empty"
    assert (count(store).waiting, count(store).resting) == (3, 1)
    assert take(store).id == "two"
    clock.advance(5_000)
    assert ids(fetch(store)) == ["one", "three"]
    assert found(store, "one").held_until is None


def test_a_held_job_can_be_promoted(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    settle(store, take(store), Outcome.HELD, delay_ms=5_000)
    assert store.promote(["one"]) == [True]
    assert ids(fetch(store)) == ["one"]


def test_a_hold_can_make_its_lane_rest(store: JobStore, clock: Clock) -> None:
    store.enqueue(some_jobs("a", 2, lane="acme") + some_jobs("b", 2, lane="beta"))
    settle(store, take(store), Outcome.HELD, delay_ms=5_000, rests=RestScope.LANE, reason="quota")
    assert of(ids(fetch(store))) == "bb"
    clock.advance(5_000)
    assert ids(fetch(store)) == ["a000", "a001"]


def test_a_hold_of_a_gated_job_makes_its_gate_rest_and_not_the_lane(store: JobStore) -> None:
    store.enqueue([*some_jobs("g", 2, lane="acme", gate="imap"), a_job("free", lane="acme")])
    job = next(job for job in fetch(store).jobs if job.id == "g000")
    store.leave("worker-1")
    job = next(job for job in fetch(store).jobs if job.id == "g000")
    settle(store, job, Outcome.HELD, delay_ms=5_000, rests=RestScope.LANE, reason="quota")
    store.leave("worker-1")
    assert ids(fetch(store)) == ["free"]


def test_a_hold_can_make_its_queue_rest(store: JobStore) -> None:
    store.enqueue([a_job("one"), a_job("two", lane="beta")])
    settle(store, take(store), Outcome.HELD, delay_ms=5_000, rests=RestScope.QUEUE, reason="outage")
    assert fetch(store).jobs == []
    store.wake(Scope(QUEUE))
    assert len(fetch(store).jobs) == 2


def test_a_held_job_costs_its_lane_nothing(store: JobStore) -> None:
    store.enqueue(some_jobs("a", 3, lane="acme") + some_jobs("b", 3, lane="beta"))
    settle(store, take(store), Outcome.HELD)
    assert of(run_order(store)) == "ababab"


# What stands between a job and its start


def test_why_a_job_waits_can_be_asked(store: JobStore, clock: Clock) -> None:
    rules(store, global_concurrency=1, lane_concurrency=1)
    store.enqueue(some_jobs("a", 3, lane="acme"))
    take(store)
    store.adjust(Scope(QUEUE), {"paused": True})
    store.rest(Scope(QUEUE, "acme"), 5_000, "mailbox locked")

    standing = store.standing("a002")

    assert standing is not None
    assert standing.job.id == "a002"
    assert (standing.queue_paused, standing.lane_paused, standing.suspect) == (True, False, False)
    assert (standing.rests_until, standing.rest_scope) == (clock.now + 5_000, "lane")
    assert standing.rest_reason == "mailbox locked"
    assert (standing.queue_cap, standing.lane_cap) == ((1, 1), (1, 1))
    assert (standing.before_in_lane, standing.waiting_in_queue) == (1, 2)
    assert store.standing("unknown") is None


def test_why_a_held_job_waits_can_be_asked(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one")])
    settle(store, take(store), Outcome.HELD, delay_ms=5_000, reason="no token")
    standing = store.standing("one")
    assert standing is not None
    assert (standing.rests_until, standing.rest_scope) == (clock.now + 5_000, "job")
    assert standing.rest_reason == "no token"
