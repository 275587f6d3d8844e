"""An id outlives its job for a while: whoever uses it again is told so, and is shown no phantom."""

import httpx2
import pytest

from actors.composition import App
from control.service import JobActions, JobService, NewJobRequest
from control.service.new_job import JobOptions
from control.service.removals import span_words
from jobs.errors import JobIdTaken
from jobs.memory import MemoryStore
from jobs.model import Retention
from tests.control.board import work
from tests.control.running import refused

QUEUE = "email-sync"
SYNC = {"user_id": "u1", "account_id": "a1"}
TAKEN = (
    "nothing was added: the id 'rr' was used by a job that has left the store, which remembers ids of "
    "email-sync for 7 days (queues.email-sync.id_memory_ms): give another"
)


def test_the_command_line_says_what_the_id_is_and_fails(here, memory):
    add = ("jobs", "add", QUEUE, "user_id=u1", "account_id=a1", "--id", "rr", "--delay", "1h")
    assert here(*add).returncode == 0
    removed = here("jobs", "remove", "rr")
    assert removed.stdout == "job 'rr' is removed; its id stays taken for 7 days\n"

    again = here(*add[:2], QUEUE, "user_id=u2", "account_id=a2", "--id", "rr")

    assert TAKEN in refused(again)
    assert again.stdout == ""
    assert memory.get("rr") is None


def test_an_id_that_nobody_gave_is_not_spoken_of(here, memory):
    job_id = here("jobs", "add", QUEUE, "user_id=u1", "account_id=a1").stdout.strip()
    assert here("jobs", "remove", job_id).stdout == f"job '{job_id}' is removed\n"


def test_over_http_it_is_a_conflict(api: httpx2.Client, store: MemoryStore):
    body = {"queue": QUEUE, "data": SYNC, "options": {"jobId": "rr"}}
    assert api.post("/api/v1/jobs", json=body).status_code == 201
    assert api.post("/api/v1/jobs", json=body).status_code == 200, "it is there"
    store.remove(["rr"])

    answer = api.post("/api/v1/jobs", json=body)

    assert (answer.status_code, answer.json()["error"]) == (409, {"code": "taken", "message": TAKEN})
    assert api.get("/api/v1/jobs/rr").status_code == 404


def test_a_unique_key_outlives_its_job_too(app: App, store: MemoryStore):
    service = JobService(app)
    unique = {"key": "all", "mode": "throttle", "ttl": 3_600_000}
    request = NewJobRequest(queue=QUEUE, data=SYNC, options=JobOptions(unique=unique))
    first = service.add(request)
    work(store, QUEUE)
    assert service.add(request).created is False
    store.trim({QUEUE: Retention(completed_ms=0)})
    with pytest.raises(JobIdTaken, match=f"key is held by job '{first.job.id}', which has left"):
        service.add(request)


def test_many_at_once_are_told_of_the_first_only_what_became_of_them(app: App, store: MemoryStore):
    service = JobService(app)
    ids = [
        service.add(NewJobRequest(queue=QUEUE, data=SYNC, options=JobOptions(jobId=f"j{n}"))).job.id
        for n in range(21)
    ]
    answers = JobActions(app, "ada").remove(ids)
    assert {answer.message.partition(";")[1] for answer in answers} == {""}


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (604_800_000, "7 days"),
        (86_400_000, "1 day"),
        (129_600_000, "36 hours"),
        (120_000, "2 minutes"),
        (61_000, "61 seconds"),
        (120_001, "120,001 milliseconds"),
    ],
)
def test_a_span_is_said_in_the_largest_unit_that_divides_it(ms, words):
    assert span_words(ms) == words
