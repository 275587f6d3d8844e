"""What an operator can do to jobs, through the service; each answer says what became of it."""

import pytest

from actors.composition import App
from control.service import JobActions
from jobs.model import FetchRequest, NewJob, Outcome, Unique, UniqueMode, Verdict
from jobs.states import JobState
from tests.control.board import work

QUEUE = "email-sync"


@pytest.fixture
def verbs(app: App) -> JobActions:
    return JobActions(app, "ada")


@pytest.fixture
def put(store):
    """Accept a job of email-sync."""

    def enqueue(job_id, **options):
        store.enqueue([NewJob(job_id, QUEUE, "email_sync", b"", **options)])
        return job_id

    return enqueue


def start(store):
    (job,) = store.fetch(FetchRequest("w1", "t1", 1, {QUEUE: 1})).jobs
    return job


def outcomes(answers):
    return [answer.outcome for answer in answers]


def test_a_delayed_job_starts_now(verbs, put, store):
    put("j1", delay_ms=3_600_000)

    (answer,) = verbs.promote(["j1"])

    assert (answer.done, answer.message) == (True, "job 'j1' may start now")
    assert store.get("j1").state is JobState.WAITING


def test_a_job_does_not_run_again_beside_another_with_its_unique_key(verbs, put, store):
    key = Unique("invoice-7", UniqueMode.UNTIL_FINISHED)
    put("j1", unique=key)
    store.settle("w1", [Verdict("j1", start(store).token, Outcome.FAILED)])
    put("j2", unique=key)

    (answer,) = verbs.retry(["j1"])

    assert (answer.done, answer.outcome) == (False, "refused")
    assert "job 'j1' is failed; another job with its unique key has not ended" in answer.message


def test_a_job_that_cannot_be_promoted_says_why(verbs, put):
    put("j1")

    (answer,) = verbs.promote(["j1"])

    assert (answer.done, answer.outcome) == (False, "refused")
    assert answer.message == "job 'j1' is waiting; only delayed and held jobs can be promoted"


def test_a_job_with_a_better_priority_goes_first(verbs, put, store):
    put("j1")
    put("j2")

    assert outcomes(verbs.set_priority(["j2"], 1)) == ["done"]

    assert start(store).id == "j2"


def test_cancelling_says_what_became_of_each(verbs, put, store):
    put("done")
    work(store, QUEUE)
    put("runs")
    start(store)
    put("waits")

    answers = verbs.cancel(["waits", "runs", "done", "nobody", "a/b"], "sent twice")

    assert outcomes(answers) == ["done", "signalled", "late", "unknown", "unknown"]
    assert [answer.done for answer in answers] == [True, True, False, False, False]
    assert store.get("waits").state is JobState.CANCELLED
    assert store.cancels("w1") == ["runs"]


def test_an_id_given_twice_is_cancelled_once(verbs, put):
    put("j1")

    assert outcomes(verbs.cancel(["j1", "j1"])) == ["done", "done"]


def test_a_job_that_runs_is_not_removed(verbs, put, store):
    put("runs")
    start(store)
    put("waits")

    answers = verbs.remove(["runs", "waits"])

    assert outcomes(answers) == ["refused", "done"]
    assert "a job that runs can only be cancelled" in answers[0].message
    assert store.get("waits") is None


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.CANCELLED])
def test_a_failed_or_cancelled_job_runs_again(verbs, put, store, outcome):
    put("j1")
    work(store, QUEUE, outcome)

    assert outcomes(verbs.retry(["j1"])) == ["done"]

    assert start(store).attempt == 1


def test_a_tenants_id_is_accepted(verbs, put, store):
    put("acme~invoice-7", lane="acme", delay_ms=1_000)

    assert outcomes(verbs.promote(["acme~invoice-7"])) == ["done"]


def test_what_took_effect_leaves_a_line_with_who_did_it(verbs, put, caplog):
    caplog.set_level("INFO", logger="callboard.operators")
    put("j1")

    verbs.set_priority(["j1"], 2)
    verbs.promote(["j1"])
    verbs.cancel(["j1"], "because of a\nline break")

    lines = [record.getMessage() for record in caplog.records if record.name == "callboard.operators"]
    assert lines == ['"ada" job.priority job="j1" priority=2', '"ada" job.cancel job="j1" outcome="done"']


def test_more_jobs_than_one_chunk_are_all_answered(verbs, put, store):
    ids = [put(f"j{number}") for number in range(1_100)]

    assert outcomes(verbs.remove(ids)) == ["done"] * 1_100
    assert store.stats([QUEUE])[0].waiting == 0


def test_a_reason_that_is_no_text_is_made_one(verbs, put, store):
    """A shell hands over bytes that are none as half surrogate pairs."""
    put("j1")
    assert outcomes(verbs.cancel(["j1"], "sent \udcff\x1b[31m twice")) == ["done"]
    assert b"sent ??[31m twice" in store.get("j1").record
