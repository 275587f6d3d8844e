"""The stream of events: one for each delivery that ended; each reader gets all, at least once."""

from jobs.model import Outcome
from jobs.states import JobState
from jobs.store import JobStore
from tests.contract.clock import Clock
from tests.contract.steps import QUEUE, a_job, fetch, lose, settle, some_jobs, take


def test_every_attempt_leaves_one_event(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one", lane="acme")])
    settle(store, take(store), Outcome.RETRY, detail=b'{"error_type":"E"}')
    clock.advance(10)
    job = take(store)
    clock.advance(30)
    settle(store, job)
    first, second = store.read_events("audit", "reader-1").events
    assert (first.outcome, first.attempt, first.detail) == (Outcome.RETRY, 1, b'{"error_type":"E"}')
    assert (first.state, second.state) == (JobState.WAITING, JobState.COMPLETED)
    assert (second.outcome, second.attempt, second.token) == (Outcome.COMPLETED, 2, 2)
    assert (second.job_id, second.actor, second.lane) == ("one", "email_sync", "acme")
    assert (second.owner, second.queue) == ("worker-1", QUEUE)
    assert (second.created_at, second.ready_at) == (clock.now - 40, clock.now - 40)
    assert (second.started_at, second.finished_at) == (clock.now - 30, clock.now)


def test_a_lost_lease_is_an_event_and_a_handed_back_job_is_none(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one")])
    settle(store, take(store), Outcome.RETURNED)
    take(store, "dead", lease_ms=10_000)
    lose(store, clock, "dead")
    (event,) = store.read_events("audit", "reader-1").events
    assert (event.outcome, event.owner, event.attempt) == (Outcome.LOST, "dead", 1)


def test_what_was_cancelled_before_it_started_has_an_event_without_an_attempt(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    store.cancel(["one"])
    (event,) = store.read_events("audit", "reader-1").events
    assert (event.outcome, event.state) == (Outcome.CANCELLED, JobState.CANCELLED)
    assert (event.attempt, event.token, event.started_at, event.owner) == (0, 0, 0, "")


def test_readers_share_events_and_each_reader_gets_all(store: JobStore) -> None:
    store.read_events("audit", "a")
    store.read_events("alerts", "x")
    store.enqueue([a_job("one"), a_job("two")])
    for job in fetch(store).jobs:
        settle(store, job)
    seen = store.read_events("audit", "a").events
    assert {event.job_id for event in seen} == {"one", "two"}
    assert store.read_events("audit", "b").events == []
    store.ack_events("audit", [event.id for event in seen])
    assert len(store.read_events("alerts", "x").events) == 2


def test_the_lag_is_what_is_not_dealt_with(store: JobStore) -> None:
    store.enqueue(some_jobs("j", 3))
    for job in fetch(store).jobs:
        settle(store, job)
    batch = store.read_events("audit", "a")
    assert (len(batch.events), batch.lag) == (3, 3)
    store.ack_events("audit", [event.id for event in batch.events])
    assert store.read_events("audit", "a").lag == 0


def test_ids_of_events_are_not_repeated(store: JobStore) -> None:
    store.enqueue(some_jobs("j", 30))
    verdict_calls = [fetch(store, credits=10).jobs for _ in range(3)]
    for jobs in verdict_calls:
        for job in jobs:
            settle(store, job)
    events = store.read_events("audit", "a", limit=10_000).events
    assert len({event.id for event in events}) == 30


def test_a_new_reader_begins_with_what_is_still_there(store: JobStore) -> None:
    store.read_events("audit", "a")
    store.enqueue([a_job("one")])
    settle(store, take(store))
    assert len(store.read_events("late", "a").events) == 1


def test_a_reader_gets_about_as_many_events_as_it_asked_for_and_all_in_the_end(store: JobStore) -> None:
    for n in range(3):
        jobs = some_jobs(f"n{n}-", 500)
        store.enqueue(jobs)
        store.cancel([job.id for job in jobs])
    seen: list[str] = []
    while events := store.read_events("audit", "a", limit=50).events:
        assert len(events) < 50 + 128, "the rest of the last entry, and no more"
        seen += [event.job_id for event in events]
        store.ack_events("audit", [event.id for event in events])
    assert len(seen) == len(set(seen)) == 1_500
    assert store.read_events("audit", "b").lag == 0
