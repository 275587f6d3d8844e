"""An id is one job, for as long as it is remembered; each verb may be repeated after a lost reply."""

from jobs.model import GIVEN_ID_MARKER_MS, MARKER_MS, FetchRequest, NewJob, Outcome, Settled, Verdict
from jobs.states import JobState
from jobs.store import JobStore
from tests.contract.clock import Clock
from tests.contract.steps import QUEUE, a_job, count, fetch, found, ids, run_order, settle, state_of, take


def test_the_same_id_twice_is_one_job(store: JobStore) -> None:
    first, second = store.enqueue([a_job("one"), a_job("one")])
    assert (first.created, second.created) == (True, False)
    assert store.enqueue([a_job("one", queue="other")])[0].created is False
    assert ids(fetch(store)) == ["one"]


def test_thousands_in_one_call_stand_in_their_order_and_each_has_its_answer(
    store: JobStore,
) -> None:
    there = set(range(0, 2_600, 130))
    store.enqueue([a_job(f"{n:04}", priority=1) for n in there])
    answers = store.enqueue([a_job(f"{n:04}", priority=1) for n in range(2_600)])
    assert [(answer.id, answer.created) for answer in answers] == [
        (f"{n:04}", n not in there) for n in range(2_600)
    ]
    new = [f"{n:04}" for n in range(2_600) if n not in there]
    assert run_order(store, 3_000)[len(there) :] == new
    assert count(store).completed == 2_600


def test_an_id_is_one_job_in_every_state(store: JobStore) -> None:
    store.enqueue([a_job("one", delay_ms=1_000)])
    assert not store.enqueue([a_job("one")])[0].created
    store.promote(["one"])
    job = take(store)
    assert not store.enqueue([a_job("one")])[0].created
    settle(store, job)
    assert not store.enqueue([a_job("one")])[0].created


def test_an_id_that_has_left_is_remembered_for_two_minutes(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one")])
    settle(store, take(store), remove=True)
    assert store.get("one") is None
    clock.advance(MARKER_MS - 1)
    assert store.enqueue([a_job("one")])[0].created is False
    clock.advance(1)
    assert store.enqueue([a_job("one")])[0].created is True


def test_an_id_can_be_remembered_longer(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("tick", marker_ms=GIVEN_ID_MARKER_MS), a_job("other")])
    store.remove(["tick", "other"])
    clock.advance(GIVEN_ID_MARKER_MS - 1)
    store.trim({})
    assert [answer.created for answer in store.enqueue([a_job("tick"), a_job("other")])] == [False, True]


def test_however_a_job_leaves_its_id_is_remembered(store: JobStore) -> None:
    store.enqueue([a_job("drained")])
    store.drain(QUEUE)
    store.enqueue([a_job("cleaned")])
    store.clean(QUEUE, JobState.WAITING)
    store.enqueue([a_job("replaced"), a_job("obliterated")])
    store.obliterate(QUEUE)
    again = store.enqueue([a_job("drained"), a_job("cleaned"), a_job("obliterated")])
    assert [answer.created for answer in again] == [False, False, False]


def test_a_fetch_repeated_after_a_lost_reply_returns_the_same_jobs(store: JobStore) -> None:
    store.enqueue([a_job("one"), a_job("two")])
    first = fetch(store, credits=1, token="t1")
    again = fetch(store, credits=1, token="t1")
    assert first.jobs == again.jobs
    assert (ids(again), again.jobs[0].attempt) == (["one"], 1)
    assert ids(fetch(store, credits=1, token="t2")) == ["two"]


def test_a_repeated_fetch_leaves_out_what_was_settled_meanwhile(store: JobStore) -> None:
    store.enqueue([a_job("one"), a_job("two")])
    job, _ = fetch(store, token="t1").jobs
    settle(store, job)
    assert ids(fetch(store, token="t1")) == ["two"]


def test_a_settlement_is_stored_once_however_often_it_is_sent(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    job = take(store)
    assert [settle(store, job, Outcome.RETRY) for _ in range(2)] == [Settled.STORED, Settled.REPEATED]
    assert count(store).retries == 1


def test_a_settlement_repeated_after_the_job_has_left_is_known(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    job = take(store)
    assert settle(store, job, remove=True) is Settled.STORED
    assert settle(store, job, remove=True) is Settled.REPEATED
    assert count(store).completed_total == 1


def test_two_settlements_of_one_delivery_in_one_call_are_one(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    job = take(store)
    verdicts = [Verdict(job.id, job.token, Outcome.COMPLETED), Verdict(job.id, job.token, Outcome.FAILED)]
    assert store.settle("worker-1", verdicts) == [Settled.STORED, Settled.REPEATED]
    assert state_of(store, "one") is JobState.COMPLETED


def test_settle_and_fetch_do_both(store: JobStore) -> None:
    store.enqueue([a_job("one"), a_job("two")])
    job = take(store)
    settled, fetched = store.settle_and_fetch(
        [Verdict(job.id, job.token, Outcome.COMPLETED)], FetchRequest("worker-1", "next", 1, {QUEUE: 1})
    )
    assert settled == [Settled.STORED]
    assert ids(fetched) == ["two"]


def test_a_job_carries_what_it_was_sent_with(store: JobStore, clock: Clock) -> None:
    sent = a_job("one", payload=b"\x00hello", lane="acme", gate="imap", priority=3, max_attempts=7)
    store.enqueue([sent])
    job = found(store, "one")
    assert (job.queue, job.actor, job.payload) == (QUEUE, "email_sync", b"\x00hello")
    assert (job.lane, job.gate, job.priority, job.max_attempts) == ("acme", "imap", 3, 7)
    assert (job.created_at, job.ready_at, job.due_at) == (clock.now, clock.now, None)
    assert store.get("unknown") is None


def test_an_empty_call_is_nothing(store: JobStore) -> None:
    assert store.enqueue(list[NewJob]()) == []
    assert store.settle("worker-1", []) == []
    assert store.promote([]) == store.remove([]) == store.retry_dead([]) == []
    assert store.cancel([]) == []
    assert store.stats([]) == []
    store.report_progress("worker-1", {})
    store.ping()
