"""Settled jobs leave by age and count; a dead letter not before every reader has its event."""

import pytest

from jobs.model import Outcome, Retention, Verdict
from jobs.states import JobState
from jobs.store import JobStore
from tests.contract.clock import Clock
from tests.contract.steps import QUEUE, a_job, count, fetch, settle, some_jobs, take

HOUR_MS = 3_600_000


def test_settled_jobs_leave_by_age(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("done"), a_job("cancelled"), a_job("dead")])
    done, cancelled, dead = fetch(store).jobs
    settle(store, done)
    settle(store, cancelled, Outcome.CANCELLED)
    settle(store, dead, Outcome.FAILED)
    ages = {QUEUE: Retention(completed_ms=HOUR_MS, failed_ms=2 * HOUR_MS)}
    clock.advance(HOUR_MS - 1)
    assert store.trim(ages) == 0
    clock.advance(1)
    assert store.trim(ages) == 2
    assert [store.get(name) for name in ("done", "cancelled")] == [None, None]
    clock.advance(HOUR_MS)
    assert store.trim(ages) == 1
    assert count(store, "dead-letter").dead_letters == 0


def test_of_failed_jobs_the_newest_are_kept(store: JobStore, clock: Clock) -> None:
    store.enqueue(some_jobs("j", 5))
    for job in fetch(store).jobs:
        settle(store, job, Outcome.FAILED)
        clock.advance(1)
    assert store.trim({QUEUE: Retention(failed_count=2)}) == 3
    assert [job.id for job in store.list_jobs(QUEUE, JobState.FAILED)] == ["j004", "j003"]


def test_queues_that_are_not_named_keep_everything(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one")])
    settle(store, take(store))
    clock.advance(10**9)
    assert store.trim({"other": Retention(0, 0)}) == 0


def test_what_has_not_ended_never_leaves(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("runs", priority=1), a_job("waits"), a_job("delayed", delay_ms=10**9)])
    take(store)
    clock.advance(10**8)
    assert store.trim({QUEUE: Retention(0, 0, 0)}) == 0


def test_trim_works_in_chunks(store: JobStore) -> None:
    store.enqueue(some_jobs("j", 5))
    for job in fetch(store).jobs:
        settle(store, job)
    assert [store.trim({QUEUE: Retention(0, 0)}, limit=2) for _ in range(4)] == [2, 2, 1, 0]


def test_trim_takes_as_many_as_it_is_asked_for(store: JobStore) -> None:
    store.enqueue(some_jobs("j", 2_500))
    jobs = fetch(store, credits=2_500, each=2_500).jobs
    store.settle("worker-1", [Verdict(job.id, job.token, Outcome.CANCELLED) for job in jobs])
    assert [store.trim({QUEUE: Retention(0, 0)}, limit=2_400) for _ in range(3)] == [2_400, 100, 0]


def test_events_that_nobody_reads_go_after_a_minute(store: JobStore, clock: Clock) -> None:
    store.enqueue(some_jobs("j", 2))
    settle(store, take(store))
    clock.advance(30_000)
    settle(store, take(store))
    clock.advance(30_000)
    store.trim({QUEUE: Retention()})
    assert [event.job_id for event in store.read_events("audit", "a").events] == ["j001"]


def test_events_that_somebody_reads_wait_for_it(store: JobStore, clock: Clock) -> None:
    store.read_events("audit", "a")
    store.enqueue([a_job("one")])
    settle(store, take(store))
    clock.advance(10**8)
    store.trim({QUEUE: Retention()})
    assert [event.job_id for event in store.read_events("audit", "a").events] == ["one"]


@pytest.mark.parametrize("retention", [Retention(0, 0), Retention(failed_count=0)])
def test_a_dead_letter_stays_until_every_reader_has_its_event(store: JobStore, retention: Retention) -> None:
    store.read_events("audit", "a")
    store.read_events("alerts", "a")
    store.enqueue([a_job("one")])
    settle(store, take(store), Outcome.FAILED)
    for reader in ("audit", "alerts"):
        assert store.trim({QUEUE: retention}) == 0
        assert store.clean(QUEUE, JobState.FAILED) == 0
        events = store.read_events(reader, "a").events
        store.ack_events(reader, [event.id for event in events])
    assert store.trim({QUEUE: retention}) == 1


def test_a_reader_that_is_no_more_keeps_nothing(store: JobStore) -> None:
    store.read_events("audit", "a")
    store.read_events("old", "a")
    store.enqueue([a_job("one")])
    settle(store, take(store), Outcome.FAILED)
    events = store.read_events("audit", "a").events
    store.ack_events("audit", [event.id for event in events])
    assert store.trim({QUEUE: Retention(0, 0)}) == 0
    store.keep_readers(["audit"])
    # What is left of it goes with the next batch that is dealt with.
    store.enqueue([a_job("two")])
    settle(store, take(store))
    events = store.read_events("audit", "a").events
    store.ack_events("audit", [event.id for event in events])
    assert store.trim({QUEUE: Retention(completed_ms=10**9, failed_ms=0)}) == 1
