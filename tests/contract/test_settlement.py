"""How deliveries end."""

from jobs.model import Outcome, Settled
from jobs.states import JobState
from jobs.store import JobStore
from tests.contract.clock import Clock
from tests.contract.steps import QUEUE, a_job, count, fetch, found, ids, settle, state_of, take


def test_a_job_waits_until_it_is_fetched_and_runs_until_it_is_settled(store: JobStore) -> None:
    store.enqueue([a_job("one", payload=b"hello")])
    assert state_of(store, "one") is JobState.WAITING
    job = take(store)
    assert (job.id, job.payload, job.attempt, job.token) == ("one", b"hello", 1, 1)
    assert state_of(store, "one") is JobState.ACTIVE
    assert fetch(store, "worker-2").jobs == []
    settle(store, job)
    assert state_of(store, "one") is JobState.COMPLETED


def test_a_completed_job_keeps_its_result_and_progress(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one")])
    job = take(store)
    clock.advance(40)
    settle(store, job, record=b'{"result":1}', progress=b'{"percent":100}')
    ended = found(store, "one")
    assert (ended.record, ended.progress) == (b'{"result":1}', b'{"percent":100}')
    assert (ended.started_at, ended.finished_at, ended.owner) == (clock.now - 40, clock.now, None)


def test_success_wipes_the_failure_of_an_earlier_attempt(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    settle(store, take(store), Outcome.RETRY, record=b'{"error":{"type":"E"}}')
    assert found(store, "one").record == b'{"error":{"type":"E"}}'
    settle(store, take(store))
    assert found(store, "one").record is None


def test_success_wipes_the_failure_of_an_earlier_life(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    settle(store, take(store), Outcome.FAILED, record=b'{"error":{"type":"E"}}')
    store.retry_dead(["one"])
    settle(store, take(store))
    assert found(store, "one").record is None


def test_a_dead_letter_is_kept_with_its_reason(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    settle(store, take(store), Outcome.FAILED, record=b'{"error":{"type":"X"}}')
    (dead,) = store.list_jobs(QUEUE, JobState.FAILED)
    assert (dead.id, dead.dead_letter, dead.record) == ("one", "dead-letter", b'{"error":{"type":"X"}}')
    assert (count(store).failed, count(store, "dead-letter").dead_letters) == (1, 1)


def test_a_dead_letter_goes_to_its_own_queue_or_where_the_verdict_says(store: JobStore) -> None:
    store.enqueue([a_job("own", dead_letter="mail-dead"), a_job("said", dead_letter="mail-dead")])
    own, said = fetch(store).jobs
    settle(store, own, Outcome.FAILED)
    settle(store, said, Outcome.FAILED, dead_letter="poison")
    assert (found(store, "own").dead_letter, found(store, "said").dead_letter) == ("mail-dead", "poison")


def test_only_the_owner_of_the_lease_may_settle(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    job = take(store, "worker-1")
    assert settle(store, job, owner="worker-2") is Settled.REFUSED
    assert state_of(store, "one") is JobState.ACTIVE


def test_what_was_never_there_is_refused(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    job = take(store)
    assert settle(store, job._replace(id="other")) is Settled.REFUSED
    assert settle(store, job._replace(token=2)) is Settled.REFUSED


def test_an_unstarted_job_handed_back_keeps_its_place_and_its_attempt(store: JobStore) -> None:
    store.enqueue([a_job("one"), a_job("two")])
    settle(store, take(store), Outcome.RETURNED)
    (first, _) = fetch(store).jobs
    assert (first.id, first.attempt, first.token) == ("one", 1, 2)


def test_attempts_are_spent_by_runs_alone(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one")])
    ends = [Outcome.RETURNED, Outcome.RETRY, Outcome.HELD, Outcome.INTERRUPTED, Outcome.RETRY]
    seen = []
    for outcome in ends:
        job = take(store)
        seen.append(job.attempt)
        settle(store, job, outcome)
        clock.advance(2_000)
    assert seen == [1, 1, 2, 2, 2]
    assert found(store, "one").deliveries == 5


def test_only_the_newest_completed_jobs_are_kept(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job(str(n)) for n in range(5)])
    for job in fetch(store).jobs:
        clock.advance(1)
        settle(store, job, keep=2)
    assert [job.id for job in store.list_jobs(QUEUE, JobState.COMPLETED)] == ["4", "3"]
    assert (count(store).completed, count(store).completed_total) == (2, 5)


def test_a_completed_job_may_leave_at_once_and_takes_no_other_with_it(store: JobStore) -> None:
    store.enqueue([a_job("kept"), a_job("gone"), a_job("kept-too")])
    for job in fetch(store).jobs:
        settle(store, job, keep=1_000, remove=job.id == "gone")
    assert store.get("gone") is None
    assert count(store).completed == 2


def test_progress_is_kept_while_its_owner_holds_the_job(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    store.report_progress("worker-1", {"one": (1, b"too early"), "unknown": (1, b"x")})
    assert found(store, "one").progress is None
    take(store)
    store.report_progress("worker-1", {"one": (1, b'{"percent":40}')})
    store.report_progress("worker-1", {"one": (2, b"another delivery")})
    store.report_progress("thief", {"one": (1, b"another owner")})
    assert found(store, "one").progress == b'{"percent":40}'


def test_late_progress_of_a_lost_delivery_is_passed_over(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    settle(store, take(store), Outcome.RETRY)
    take(store, "worker-2")
    store.report_progress("worker-1", {"one": (1, b"late")})
    assert found(store, "one").progress is None
    assert ids(fetch(store)) == []
