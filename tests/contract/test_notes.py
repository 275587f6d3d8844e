"""What jobs note while they run: outcomes of steps, and lines of a log. Both leave with the job."""

import pytest

from jobs.model import LOG_ATTEMPTS, LOG_BYTES, Cancelled, LogChunk, Outcome
from jobs.states import JobState
from jobs.store import JobStore
from tests.contract.clock import Clock
from tests.contract.steps import QUEUE, a_job, a_worker, fetch, found, lose, settle, state_of, take


def chunk(n: int, lines: bytes = b"line", *, token: int = 1, count: int = 1, attempt: int = 0) -> LogChunk:
    return LogChunk("one", token, attempt or token, n, count, lines)


def test_a_step_is_kept_for_the_next_run(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    job = take(store)
    assert store.save_step("worker-1", "one", job.token, "fetched", b"12")
    assert store.save_step("worker-1", "one", job.token, "a second", b"[]")
    settle(store, job, Outcome.RETRY)
    assert list(store.steps("one").items()) == [("fetched", b"12"), ("a second", b"[]")]


def test_what_is_saved_again_takes_the_place_of_what_was_there(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    job = take(store)
    for outcome in (b"intent", b"done", b"done"):
        assert store.save_step("worker-1", "one", job.token, "charge", outcome)
    assert store.steps("one") == {"charge": b"done"}


def test_only_the_delivery_that_holds_the_job_saves_steps(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    assert not store.save_step("worker-1", "one", 0, "early", b"1")
    job = take(store)
    assert not store.save_step("thief", "one", job.token, "s", b"1")
    assert not store.save_step("worker-1", "one", job.token + 1, "s", b"1")
    assert not store.save_step("worker-1", "unknown", 1, "s", b"1")
    settle(store, job)
    assert not store.save_step("worker-1", "one", job.token, "late", b"1")
    assert store.steps("one") == {}


def test_a_step_of_a_delivery_that_lost_its_lease_is_refused(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one")])
    job = take(store, "slow", lease_ms=15_000)
    assert lose(store, clock, "slow") == 1
    assert not store.save_step("slow", "one", job.token, "s", b"1")
    again = take(store, "other")
    assert not store.save_step("slow", "one", job.token, "s", b"1")
    assert store.save_step("other", "one", again.token, "s", b"2")
    assert store.steps("one") == {"s": b"2"}


@pytest.mark.parametrize("end", [Outcome.FAILED, Outcome.CANCELLED])
def test_steps_outlive_the_end_of_a_job_and_its_next_life(store: JobStore, end: Outcome) -> None:
    store.enqueue([a_job("one")])
    job = take(store)
    store.save_step("worker-1", "one", job.token, "s", b"1")
    settle(store, job, end)
    assert store.retry_dead(["one"]) == [True]
    assert store.steps("one") == {"s": b"1"}


def test_a_run_from_the_start_forgets_all_but_what_is_lasting(store: JobStore) -> None:
    store.enqueue([a_job("one"), a_job("two")])
    for job in fetch(store).jobs:
        store.save_step("worker-1", job.id, job.token, "a", b"1")
        store.save_step("worker-1", job.id, job.token, "charge", b"intent", lasting=True)
        store.save_step("worker-1", job.id, job.token, "b", b"2")
        store.save_step("worker-1", job.id, job.token, "charge", b"done", lasting=True)
        settle(store, job, Outcome.FAILED)
    assert store.retry_dead(["one"], from_start=True) == [True]
    assert store.steps("one") == {"charge": b"done"}
    assert list(store.steps("two")) == ["a", "charge", "b"]
    job = take(store)
    store.save_step("worker-1", "one", job.token, "b", b"3")
    assert list(store.steps("one").items()) == [("charge", b"done"), ("b", b"3")]
    settle(store, job, Outcome.FAILED)
    assert store.retry_dead(["one"], from_start=True) == [True]
    assert store.steps("one") == {"charge": b"done"}


def test_a_job_that_is_not_run_again_loses_no_step(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    job = take(store)
    store.save_step("worker-1", "one", job.token, "s", b"1")
    assert store.retry_dead(["one"], from_start=True) == [False]
    assert store.steps("one") == {"s": b"1"}


def test_notes_leave_with_their_job(store: JobStore) -> None:
    """By removal, by a queue's count, and at once; the census finds what would be left behind."""
    store.enqueue([a_job("one"), a_job("two"), a_job("three")])
    for job in fetch(store).jobs:
        store.save_step("worker-1", job.id, job.token, "s", b"1")
        store.save_step("worker-1", job.id, job.token, "e", b"1", lasting=True)
        store.add_log("worker-1", [LogChunk(job.id, job.token, 1, n, 1, b"line") for n in range(3)])
        settle(store, job, keep=1, remove=job.id == "three")
    assert store.steps("two") == {"s": b"1", "e": b"1"}
    assert store.remove(["two"]) == [True]
    for job_id in ("one", "two", "three"):
        assert (store.steps(job_id), store.logs(job_id)) == ({}, [])


def test_lines_are_kept_by_attempt(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    job = take(store)
    store.add_log("worker-1", [chunk(0, b"a"), chunk(1, b"b")])
    settle(store, job, Outcome.RETRY)
    take(store)
    store.add_log("worker-1", [chunk(0, b"c", token=2)])
    assert store.logs("one") == [(1, 1, 0, (b"a", b"b")), (2, 2, 0, (b"c",))]


def test_a_chunk_that_is_sent_twice_is_there_once(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    take(store)
    for n in (0, 1, 1, 2, 0):
        store.add_log("worker-1", [chunk(n, b"%d" % n)])
    assert store.logs("one") == [(1, 1, 0, (b"0", b"1", b"2"))]


def test_the_last_words_of_a_run_arrive_after_its_end(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    settle(store, take(store), Outcome.RETRY)
    store.add_log("worker-1", [chunk(0, b"late")])
    take(store, "worker-2")
    store.add_log("worker-1", [chunk(1, b"later")])
    assert store.logs("one") == [(1, 1, 0, (b"late", b"later"))]


def test_nobody_adds_to_the_log_of_another(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    store.add_log("worker-1", [chunk(0, token=0), chunk(0)])
    take(store)
    store.add_log("thief", [chunk(0), chunk(0, token=2), LogChunk("unknown", 1, 1, 0, 1, b"x")])
    assert store.logs("one") == []
    assert store.logs("unknown") == []


def test_of_one_attempt_the_newest_lines_stay_and_the_others_are_counted(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    take(store)
    size = LOG_BYTES // 4
    for n in range(7):
        store.add_log("worker-1", [chunk(n, bytes([n]) * size, count=10)])
    ((_, _, dropped, chunks),) = store.logs("one")
    assert dropped == 30
    assert [one[:1] for one in chunks] == [bytes([n]) for n in (3, 4, 5, 6)]


def test_a_chunk_above_the_cap_stays_alone(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    take(store)
    store.add_log("worker-1", [chunk(0), chunk(1, b"x" * (LOG_BYTES + 1))])
    ((_, _, dropped, chunks),) = store.logs("one")
    assert (dropped, len(chunks)) == (1, 1)


def test_the_logs_of_the_latest_attempts_stay(store: JobStore) -> None:
    store.enqueue([a_job("one", max_attempts=99)])
    for token in range(1, LOG_ATTEMPTS + 3):
        job = take(store)
        store.add_log("worker-1", [chunk(0, token=token)])
        settle(store, job, Outcome.RETRY)
    store.add_log("worker-1", [chunk(0, token=1)])
    assert [log.token for log in store.logs("one")] == list(range(3, LOG_ATTEMPTS + 3))


def test_the_reason_of_a_cancellation_is_with_the_job_while_it_runs_and_after(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    job = take(store)
    assert store.cancel(["one"], "not/wanted") == [Cancelled.SIGNALLED]
    store.cancel(["one"], "said twice")
    assert found(store, "one").cancel_reason == "not/wanted"
    settle(store, job, Outcome.RETRY)
    ended = found(store, "one")
    assert (ended.state, ended.cancel_reason) == (JobState.CANCELLED, "not/wanted")
    assert b"wanted" in (ended.record or b"")
    store.retry_dead(["one"])
    assert found(store, "one").cancel_reason == ""


def test_the_reason_of_a_job_whose_worker_died_is_in_its_record(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one")])
    take(store, "dies", lease_ms=15_000)
    store.cancel(["one"], "the customer left")
    lose(store, clock, "dies")
    assert state_of(store, "one") is JobState.CANCELLED
    assert b"the customer left" in (found(store, "one").record or b"")


def test_the_event_of_a_job_that_was_cancelled_before_its_start_has_the_reason(store: JobStore) -> None:
    store.register(a_worker("w", readers=("audit",)), 60_000)
    store.enqueue([a_job("one", queue=QUEUE)])
    store.cancel(["one"], "sent twice")
    (event,) = store.read_events("audit", "me").events
    assert event.detail == b'{"reason":"sent twice"}'
