"""What people do with jobs and queues."""

import orjson
import pytest

from jobs.errors import IllegalTransition, InvalidAdjustment
from jobs.model import Cancelled, Outcome, Scope, Settled
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
    lose,
    settle,
    some_jobs,
    state_of,
    take,
)

# Cancel


def test_what_has_not_started_is_cancelled_at_once(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("waits"), a_job("delayed", delay_ms=1_000), a_job("held", priority=1)])
    settle(store, take(store), Outcome.HELD, delay_ms=1_000)
    assert store.cancel(["waits", "delayed", "held"], "not wanted") == [Cancelled.DONE] * 3
    for job_id in ("waits", "delayed", "held"):
        job = found(store, job_id)
        assert (job.state, job.finished_at) == (JobState.CANCELLED, clock.now)
        assert orjson.loads(job.record or b"") == {"error": {"type": "Cancelled", "message": "not wanted"}}
    clock.advance(1_000)
    assert fetch(store).jobs == []


def test_what_runs_is_cancelled_by_its_worker(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    job = take(store)
    assert store.cancel(["one"]) == [Cancelled.SIGNALLED]
    assert store.cancel(["one"]) == [Cancelled.SIGNALLED]
    assert (found(store, "one").cancel_requested, state_of(store, "one")) == (True, JobState.ACTIVE)
    assert (store.cancels("worker-1"), store.cancels("worker-2")) == (["one"], [])
    settle(store, job, Outcome.CANCELLED)
    assert state_of(store, "one") is JobState.CANCELLED


def test_what_ended_cannot_be_cancelled(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    settle(store, take(store))
    assert store.cancel(["one", "unknown"]) == [Cancelled.LATE, Cancelled.UNKNOWN]
    assert state_of(store, "one") is JobState.COMPLETED


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Outcome.RETRY, Outcome.RETRY),
        (Outcome.INTERRUPTED, Outcome.INTERRUPTED),
        (Outcome.HELD, Outcome.CANCELLED),
        (Outcome.RETURNED, Outcome.CANCELLED),
    ],
)
def test_a_job_to_be_cancelled_does_not_run_again(store: JobStore, outcome: Outcome, told: Outcome) -> None:
    store.enqueue([a_job("one")])
    job = take(store)
    store.cancel(["one"])
    settle(store, job, outcome, delay_ms=1_000)
    assert state_of(store, "one") is JobState.CANCELLED
    (event,) = store.read_events("audit", "reader").events
    assert (event.outcome, event.state) == (told, JobState.CANCELLED)


def test_a_job_to_be_cancelled_that_ends_first_has_ended(store: JobStore) -> None:
    store.enqueue([a_job("done"), a_job("dead")])
    done, dead = fetch(store).jobs
    store.cancel(["done", "dead"])
    settle(store, done)
    settle(store, dead, Outcome.FAILED)
    assert (state_of(store, "done"), state_of(store, "dead")) == (JobState.COMPLETED, JobState.FAILED)


def test_a_job_to_be_cancelled_whose_worker_died_is_cancelled(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one")])
    take(store, "dead", lease_ms=10_000)
    store.cancel(["one"])
    lose(store, clock, "dead")
    assert state_of(store, "one") is JobState.CANCELLED


def test_a_job_to_be_cancelled_that_a_leaving_worker_holds_is_cancelled(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    take(store)
    store.cancel(["one"])
    store.leave("worker-1")
    assert state_of(store, "one") is JobState.CANCELLED


# Remove, retry, promote


def test_any_job_that_does_not_run_can_be_removed(store: JobStore) -> None:
    store.enqueue([a_job("runs", priority=1), a_job("waits"), a_job("delayed", delay_ms=1_000)])
    job = take(store)
    assert store.remove(["runs", "waits", "delayed", "unknown"]) == [False, True, True, False]
    settle(store, job, Outcome.FAILED)
    assert store.remove(["runs"]) == [True]
    assert store.get("runs") is store.get("waits") is store.get("delayed") is None
    assert count(store, "dead-letter").dead_letters == 0


def test_a_dead_letter_runs_again_with_all_its_attempts(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one", max_attempts=1)])
    settle(store, take(store), Outcome.FAILED, record=b'{"error":{"type":"E"}}')
    clock.advance(5_000)
    assert store.retry_dead(["one", "unknown"]) == [True, False]
    job = found(store, "one")
    assert (job.state, job.attempts, job.finished_at, job.dead_letter) == (JobState.WAITING, 0, None, None)
    assert (job.ready_at, job.record) == (clock.now, b'{"error":{"type":"E"}}')
    assert store.retry_dead(["one"]) == [False]
    again = take(store)
    assert (again.attempt, again.token) == (1, 2)


def test_a_cancelled_job_can_be_run_again(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    store.cancel(["one"])
    assert store.retry_dead(["one"]) == [True]
    settle(store, take(store))
    assert state_of(store, "one") is JobState.COMPLETED


def test_a_poison_job_that_is_retried_is_no_suspect_any_more(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one")])
    take(store, "dead", lease_ms=10_000)
    lose(store, clock, "dead", max_lost=1)
    store.retry_dead(["one"])
    assert found(store, "one").lost_leases == 0
    assert ids(fetch(store, busy=True)) == ["one"]


# Whole queues


def test_drain_removes_what_waits_and_leaves_what_runs_and_ended(store: JobStore) -> None:
    store.enqueue([a_job("done", priority=1), a_job("runs", priority=2)])
    settle(store, take(store))
    take(store)
    store.enqueue([a_job("waits"), a_job("delayed", delay_ms=1_000), a_job("other", queue="other")])
    assert store.drain(QUEUE, delayed=False) == 1
    assert store.drain(QUEUE) == 1
    assert store.drain(QUEUE) == 0
    assert (count(store).waiting, count(store).delayed) == (0, 0)
    assert (count(store).active, count(store).completed, count(store, "other").waiting) == (1, 1, 1)


def test_drain_takes_held_jobs_and_suspects_too(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("suspect")])
    take(store, "dead", lease_ms=10_000)
    lose(store, clock, "dead")
    store.enqueue([a_job("held")])
    settle(store, take(store, busy=False), Outcome.RETURNED)
    job = next(job for job in fetch(store, busy=False).jobs)
    settle(store, job, Outcome.HELD, delay_ms=1_000)
    assert store.drain(QUEUE) == 2
    assert count(store).waiting == 0


def test_big_verbs_work_in_chunks(store: JobStore) -> None:
    store.enqueue(some_jobs("j", 25))
    assert [store.drain(QUEUE, limit=10) for _ in range(4)] == [10, 10, 5, 0]


def test_clean_removes_settled_jobs_that_ended_long_ago(store: JobStore, clock: Clock) -> None:
    store.enqueue(some_jobs("j", 4))
    for job in fetch(store).jobs:
        settle(store, job)
        clock.advance(1_000)
    assert store.clean(QUEUE, JobState.COMPLETED, older_than_ms=3_000) == 2
    assert store.clean(QUEUE, JobState.COMPLETED, keep=1) == 1
    assert [job.id for job in store.list_jobs(QUEUE, JobState.COMPLETED)] == ["j003"]
    assert store.clean(QUEUE, JobState.FAILED) == 0


def test_clean_takes_the_oldest_first_and_no_more_than_asked(store: JobStore, clock: Clock) -> None:
    store.enqueue(some_jobs("j", 5))
    for job in fetch(store).jobs:
        settle(store, job, Outcome.CANCELLED)
        clock.advance(1)
    assert store.clean(QUEUE, JobState.CANCELLED, limit=2) == 2
    assert [job.id for job in store.list_jobs(QUEUE, JobState.CANCELLED)] == ["j004", "j003", "j002"]


def test_clean_removes_what_has_waited_long(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("old"), a_job("planned", delay_ms=10**9)])
    clock.advance(60_000)
    store.enqueue([a_job("new"), a_job("planned-now", delay_ms=10**9)])
    assert store.clean(QUEUE, JobState.WAITING, older_than_ms=60_000) == 1
    assert store.clean(QUEUE, JobState.DELAYED, older_than_ms=60_000) == 1
    assert sorted(job.id for job in store.list_jobs(QUEUE, JobState.WAITING)) == ["new"]
    assert sorted(job.id for job in store.list_jobs(QUEUE, JobState.DELAYED)) == ["planned-now"]


@pytest.mark.parametrize("state", [JobState.WAITING, JobState.DELAYED])
def test_clean_keeps_the_newest_wherever_they_stand(store: JobStore, clock: Clock, state: JobState) -> None:
    # By due time and by line the oldest come last here.
    delay_ms = 10**9 if state is JobState.DELAYED else 0
    for name, lane, priority in (("a", "zeta", 9), ("b", "mid", 5), ("c", "acme", 1), ("d", "", 5)):
        store.enqueue([a_job(name, lane=lane, priority=priority, delay_ms=delay_ms)])
        clock.advance(10_000)
        delay_ms -= 10**8 if delay_ms else 0
    assert store.clean(QUEUE, state, keep=4) == 0
    assert store.clean(QUEUE, state, keep=2) == 2
    assert sorted(job.id for job in store.list_jobs(QUEUE, state)) == ["c", "d"]
    assert store.clean(QUEUE, state, keep=1, limit=0) == 0
    assert store.clean(QUEUE, state, keep=1, older_than_ms=21_000) == 0
    assert store.clean(QUEUE, state, keep=1) == 1
    assert sorted(job.id for job in store.list_jobs(QUEUE, state)) == ["d"]


def test_held_jobs_and_suspects_count_among_those_that_are_kept(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("suspect")])
    take(store, "dead", lease_ms=10_000)
    lose(store, clock, "dead")
    store.enqueue(some_jobs("j", 3))
    for job in fetch(store, busy=True).jobs[:1]:
        settle(store, job, Outcome.HELD, delay_ms=10**6)
    store.leave("worker-1")
    store.enqueue(some_jobs("k", 2))
    assert store.clean(QUEUE, JobState.WAITING, keep=3) == 3
    assert sorted(job.id for job in store.list_jobs(QUEUE, JobState.WAITING)) == ["j002", "k000", "k001"]


def test_what_does_not_all_fit_is_removed_in_the_order_of_the_list(store: JobStore) -> None:
    store.enqueue([a_job("e", lane="zeta"), a_job("d", lane="acme"), a_job("c", lane="acme", priority=1)])
    listed = [job.id for job in store.list_jobs(QUEUE, JobState.WAITING)]
    assert (store.drain(QUEUE, limit=1), store.clean(QUEUE, JobState.WAITING, limit=1)) == (1, 1)
    assert [job.id for job in store.list_jobs(QUEUE, JobState.WAITING)] == listed[2:]


@pytest.mark.parametrize("priority", [0, 11, 100, -1])
def test_a_priority_that_there_is_not_is_refused(store: JobStore, priority: int) -> None:
    store.enqueue([a_job("one")])
    with pytest.raises(InvalidAdjustment, match="from 1 to 10"):
        store.set_priority(["one"], priority)
    assert ids(fetch(store)) == ["one"]


def test_what_runs_cannot_be_cleaned(store: JobStore) -> None:
    with pytest.raises(IllegalTransition):
        store.clean(QUEUE, JobState.ACTIVE)


def test_obliterate_leaves_nothing_but_what_runs(store: JobStore) -> None:
    store.adjust(Scope(QUEUE), {"cap": 3})
    store.adjust(Scope(QUEUE, "acme"), {"weight": 2.0})
    store.adjust(Scope("other"), {"cap": 3})
    store.enqueue(some_jobs("j", 6))
    done, dead, cancelled = fetch(store).jobs
    settle(store, done)
    settle(store, dead, Outcome.FAILED)
    settle(store, cancelled, Outcome.CANCELLED)
    runs = take(store)
    store.enqueue([a_job("delayed", delay_ms=1_000)])
    store.rest(Scope(QUEUE, "acme"), 10**6, "locked")

    assert [store.obliterate(QUEUE, limit=4) for _ in range(3)] == [4, 2, 0]

    stats = count(store)
    assert (stats.waiting, stats.delayed, stats.completed, stats.failed, stats.cancelled) == (0, 0, 0, 0, 0)
    assert (stats.active, stats.completed_total, stats.failed_total) == (1, 1, 1)
    assert store.adjustments()[Scope(QUEUE)] == {"cap": 3}, "what runs still counts under its cap"

    assert settle(store, runs) is Settled.STORED
    assert [store.obliterate(QUEUE) for _ in range(2)] == [1, 0]
    stats = count(store)
    assert (stats.active, stats.completed_total, stats.failed_total) == (0, 0, 0)
    assert stats.completed_per_minute == 0
    assert store.adjustments() == {Scope("other"): {"cap": 3}}
    store.enqueue([a_job("new", lane="acme")])
    assert ids(fetch(store)) == ["new"]


def test_a_queue_with_a_dead_letter_that_nobody_has_read_keeps_its_rules(store: JobStore) -> None:
    store.read_events("audit", "a")
    store.enqueue([a_job("dead")])
    settle(store, take(store), Outcome.FAILED)
    store.adjust(Scope(QUEUE), {"paused": True})
    store.enqueue([a_job("waits")])
    assert [store.obliterate(QUEUE) for _ in range(2)] == [1, 0]
    assert (count(store).failed, count(store).paused) == (1, True)
    events = store.read_events("audit", "a").events
    store.ack_events("audit", [event.id for event in events])
    assert [store.obliterate(QUEUE) for _ in range(2)] == [1, 0]
    assert (count(store).failed_total, store.adjustments()) == (0, {})
