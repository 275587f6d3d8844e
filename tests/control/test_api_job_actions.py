"""What operators do to jobs, over HTTP."""

import pytest

from jobs.model import FetchRequest, NewJob, Outcome
from jobs.states import JobState
from tests.control.asking import error_of
from tests.control.board import work

QUEUE = "email-sync"


@pytest.fixture
def put(store):
    """Accept a job of email-sync."""

    def enqueue(job_id, **options):
        store.enqueue([NewJob(job_id, QUEUE, "email_sync", b"", **options)])
        return f"/api/v1/jobs/{job_id}"

    return enqueue


def start(store):
    (job,) = store.fetch(FetchRequest("w1", "t1", 1, {QUEUE: 1})).jobs
    return job.id


def test_a_delayed_job_is_promoted(api, store, put):
    address = put("acme~invoice-7", lane="acme", delay_ms=60_000)

    response = api.post(f"{address}/promote")

    assert (response.status_code, response.json()["outcome"]) == (200, "done")
    assert store.get("acme~invoice-7").state is JobState.WAITING


def test_a_priority_is_changed(api, store, put):
    address = put("j1")

    assert api.put(f"{address}/priority", json={"priority": 1}).status_code == 200
    assert store.get("j1").priority == 1


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_is_told(api, store, put):
    running, waiting = put("runs"), put("waits")
    start(store)

    told = api.post(f"{running}/cancel", json={"reason": "withdrawn"}).json()
    done = api.post(f"{waiting}/cancel").json()  # without a body, too

    assert (told["outcome"], done["outcome"]) == ("signalled", "done")


def test_several_are_cancelled_with_an_answer_for_each(api, put):
    put("a")

    answers = api.post("/api/v1/jobs/cancel", json={"ids": ["a", "nobody"]}).json()

    assert [(answer["id"], answer["outcome"]) for answer in answers] == [("a", "done"), ("nobody", "unknown")]


def test_a_dead_letter_runs_again(api, store, put):
    address = put("j1")
    work(store, QUEUE, Outcome.FAILED)

    assert api.post(f"{address}/retry").status_code == 200
    assert store.get("j1").state is JobState.WAITING


def test_a_removed_job_is_gone(api, put):
    address = put("j1")

    assert api.delete(address).status_code == 200
    assert api.get(address).status_code == 404


def test_why_answers_in_sentences(api, put):
    address = put("j1", lane="acme", delay_ms=60_000)

    why = api.get(f"{address}/why").json()

    assert (why["state"], why["tenantId"]) == ("delayed", "acme")
    assert why["reasons"][0].startswith("It is delayed until ")
    assert why["reasons"][1] == "No living worker serves the queue email-sync."


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "promote", None),
        ("POST", "retry", None),
        ("PUT", "priority", {"priority": 1}),
        ("POST", "cancel", None),
    ],
)
def test_what_cannot_be_done_to_a_completed_job_is_409_with_its_state(api, store, put, method, path, body):
    address = put("j1")
    work(store, QUEUE)

    response = api.request(method, f"{address}/{path}", json=body)

    assert (response.status_code, error_of(response).code) == (409, "not_possible")
    assert "j1" in error_of(response).message


def test_a_job_that_runs_is_not_removed(api, store, put):
    address = put("j1")
    start(store)

    response = api.delete(address)

    assert response.status_code == 409
    assert error_of(response).message == "job 'j1' is active; a job that runs can only be cancelled"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/promote", None),
        ("POST", "/retry", None),
        ("PUT", "/priority", {"priority": 1}),
        ("POST", "/cancel", None),
        ("GET", "/why", None),
        ("DELETE", "", None),
    ],
)
def test_a_job_that_is_not_there_is_404(api, method, path, body):
    for job_id in ("nobody", "acme~nobody", "a~b~c"):
        response = api.request(method, f"/api/v1/jobs/{job_id}{path}", json=body)
        assert (response.status_code, error_of(response).code) == (404, "unknown_job")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/v1/jobs/cancel", {"ids": []}, "ids"),
        ("/api/v1/jobs/cancel", {"ids": ["x"] * 1_001}, "ids"),
        ("/api/v1/jobs/cancel", {"ids": ["x"], "reasn": "y"}, "reasn"),
        ("/api/v1/dead-letters/retry", {"since": "2026-03-01T08:00:00"}, "since"),
        ("/api/v1/dead-letters/retry", {"limit": 10_001}, "limit"),
        ("/api/v1/dead-letters/retry", {"after": "nonsense"}, "after"),
        ("/api/v1/dead-letters/retry", {"dryrun": True}, "dryrun"),
    ],
)
def test_a_wrong_field_is_named(api, path, body, field):
    response = api.post(path, json=body)

    assert (response.status_code, error_of(response).field) == (422, field)


def test_a_misspelt_field_of_any_body_gets_the_nearest(api):
    response = api.post("/api/v1/dead-letters/retry", json={"dryrun": True})

    assert error_of(response).message == "dryrun is not a known field; did you mean dryRun?"


def test_dead_letters_are_counted_first_and_then_retried(api, store, put):
    for number in range(5):
        put(f"j{number}")
        work(store, QUEUE, Outcome.FAILED, b'{"error": {"type": "LoginRefused"}}')
    put("other")
    work(store, QUEUE, Outcome.FAILED, b'{"error": {"type": "Timeout"}}')
    wanted = {"queue": QUEUE, "errorType": "LoginRefused"}

    counted = api.post("/api/v1/dead-letters/retry", json={**wanted, "dryRun": True}).json()
    assert counted == {"looked": 6, "matched": 5, "retried": 0, "next": None}

    assert api.post("/api/v1/dead-letters/retry", json=wanted).json() == {**counted, "retried": 5}
    assert [job.id for job in store.list_jobs(QUEUE, JobState.FAILED)] == ["other"]
