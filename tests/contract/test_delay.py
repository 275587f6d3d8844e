"""Jobs for later."""

from jobs.model import Outcome
from jobs.states import JobState
from jobs.store import JobStore
from tests.contract.clock import Clock
from tests.contract.steps import QUEUE, a_job, count, fetch, found, ids, settle, some_jobs, state_of, take

WEEK_MS = 7 * 24 * 3_600_000


def test_a_delayed_job_starts_when_it_falls_due_and_not_before(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("soon", delay_ms=150), a_job("later", delay_ms=600_000)])
    first = fetch(store)
    assert (first.jobs, first.next_due) == ([], clock.now + 150)
    assert state_of(store, "soon") is JobState.DELAYED
    clock.advance(149)
    assert fetch(store).jobs == []
    clock.advance(1)
    assert ids(fetch(store)) == ["soon"]
    assert state_of(store, "later") is JobState.DELAYED


def test_run_at_is_an_absolute_time(store: JobStore, clock: Clock) -> None:
    soon = clock.now + 3_600_000
    store.enqueue([a_job("one", run_at_ms=soon), a_job("past", run_at_ms=1)])
    assert found(store, "one").due_at == soon
    assert ids(fetch(store)) == ["past"]


def test_a_job_for_the_year_5000_stands_in_nobodys_way(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("far", run_at_ms=10**14), a_job("near", delay_ms=1_000)])
    clock.advance(1_000)
    assert ids(fetch(store)) == ["near"]


def test_jobs_for_next_week_do_not_delay_one_for_the_next_second(store: JobStore, clock: Clock) -> None:
    store.enqueue(some_jobs("w", 400, delay_ms=WEEK_MS))
    store.enqueue([a_job("soon", delay_ms=1_000)])
    clock.advance(1_000)
    assert ids(fetch(store)) == ["soon"]


def test_a_job_is_ready_since_it_fell_due(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one", delay_ms=1_000)])
    due = clock.now + 1_000
    clock.advance(5_000)
    job = take(store)
    assert (job.created_at, job.ready_at, job.started_at) == (due - 1_000, due, due + 4_000)


def test_the_next_due_time_is_the_earliest_of_all_queues(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one", delay_ms=9_000), a_job("two", queue="other", delay_ms=2_000)])
    assert fetch(store).next_due == clock.now + 2_000
    store.remove(["two"])
    assert fetch(store).next_due == clock.now + 9_000
    store.remove(["one"])
    assert fetch(store).next_due is None


def test_one_process_watches_the_time_and_the_others_trust_it_for_five_seconds(
    store: JobStore, clock: Clock
) -> None:
    store.enqueue([a_job("later", delay_ms=60_000)])
    due = clock.now + 60_000
    assert fetch(store, "watches").next_due == due
    assert fetch(store, "trusts").next_due == due + 5_000
    clock.advance(5_001)
    assert fetch(store, "trusts").next_due == due


def test_who_watches_and_has_no_thread_left_says_whom_to_wake(store: JobStore) -> None:
    store.enqueue([a_job("later", delay_ms=60_000)])
    assert fetch(store, "watches").watch is None
    store.enqueue([a_job("now")])
    full = fetch(store, "watches", credits=1)
    assert (ids(full), full.watch) == (["now"], "email-sync")


def test_a_delayed_job_can_be_promoted_to_run_now(store: JobStore) -> None:
    store.enqueue([a_job("later", delay_ms=WEEK_MS), a_job("waits")])
    assert store.promote(["later", "waits", "unknown"]) == [True, False, False]
    assert store.promote(["later"]) == [False]
    assert (count(store).waiting, count(store).delayed) == (2, 0)
    assert ids(fetch(store)) == ["waits", "later"]


def test_a_retry_waits_for_its_backoff_and_spends_an_attempt(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one")])
    settle(store, take(store), Outcome.RETRY, delay_ms=100)
    assert state_of(store, "one") is JobState.DELAYED
    clock.advance(100)
    again = take(store)
    assert (again.attempt, again.token) == (2, 2)


def test_a_job_nobody_here_knows_comes_back_later_with_its_attempt(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one")])
    settle(store, take(store), Outcome.RETURNED, delay_ms=1_000)
    assert state_of(store, "one") is JobState.DELAYED
    clock.advance(1_000)
    assert take(store).attempt == 1


def test_who_hands_back_what_it_does_not_know_leaves_it_to_others_to_watch(
    store: JobStore, clock: Clock
) -> None:
    """Otherwise an old release that is idle would meet it each time, and the new one never."""
    store.enqueue([a_job("one")])
    settle(store, take(store, "old"), Outcome.RETURNED, "old", delay_ms=1_000)
    due = clock.now + 1_000
    assert fetch(store, "old").next_due == due + 250
    assert fetch(store, "new").next_due == due
    assert fetch(store, "old").next_due == due + 5_000


def test_a_run_cut_short_by_a_stop_is_counted_apart_and_not_before_two_seconds(
    store: JobStore, clock: Clock
) -> None:
    store.enqueue([a_job("one")])
    settle(store, take(store), Outcome.INTERRUPTED)
    job = found(store, "one")
    assert (job.state, job.attempts, job.interruptions) == (JobState.DELAYED, 0, 1)
    clock.advance(1_999)
    assert fetch(store).jobs == []
    clock.advance(1)
    assert ids(fetch(store)) == ["one"]


def test_a_run_cut_short_ten_times_is_dead_lettered(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one")])
    for _ in range(10):
        settle(store, take(store), Outcome.INTERRUPTED)
        clock.advance(2_000)
    assert state_of(store, "one") is JobState.FAILED


def test_when_the_process_that_watches_the_time_leaves_another_is_told(store: JobStore) -> None:
    store.enqueue([a_job("later", delay_ms=60_000)])
    fetch(store, "watcher")
    fetch(store, "other")
    store.wait_for_work([QUEUE], 1)  # the wake-up of the enqueue
    store.leave("watcher")
    assert store.wait_for_work([QUEUE], 50) == QUEUE
