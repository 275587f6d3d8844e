"""Arguments over the limit: refused with advice, or kept in the blob store and fetched when the job runs."""

from typing import Annotated, Any

import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from jobs.blobs import sweep
from jobs.errors import PayloadTooLarge
from jobs.marks import Secret
from jobs.states import JobState
from tests.fundamentals.stage import StartWorker
from tests.middleware.steps import error_of, job_of
from tests.waiting import eventually

LARGE = {"text": "Grüße " * 40_000}


@pytest.fixture
def policies() -> dict[str, Any]:
    return {"queues": {"report": {"payload_blob": True}}}


def test_a_queue_without_blobs_refuses_with_advice(jobs: FakeJobs) -> None:
    @actor
    def other(data: dict[str, str]) -> None: ...

    with pytest.raises(
        PayloadTooLarge, match=r"more than the 102,400 allowed; store the data and send its id"
    ):
        other.send(LARGE)


def test_large_arguments_come_back_when_the_job_runs(app: App, jobs: FakeJobs) -> None:
    seen: list[Any] = []

    @actor
    def report(data: dict[str, str], *, copies: int = 1) -> int:
        seen.append((data, copies))
        return len(data["text"])

    message = report.send(LARGE, copies=3)
    assert len(job_of(jobs, message).payload) < 1_000
    jobs.run_all()
    assert seen == [(LARGE, 3)]
    assert message.get_result() == len(LARGE["text"])
    assert list(sweep(app.blobs(), lambda job: jobs.store.get(job) is not None, 10**15))[-1].removed == 0
    jobs.store.remove([message.message_id])
    assert list(sweep(app.blobs(), lambda job: jobs.store.get(job) is not None, 10**15))[-1].removed == 1
    assert list(sweep(app.blobs(), lambda job: False, 10**15)) == []


def test_a_small_message_of_such_a_queue_has_no_blob(app: App, jobs: FakeJobs) -> None:
    @actor
    def report(data: dict[str, str]) -> None: ...

    report.send({"text": "short"})
    assert list(app.blobs().page("", 10**15, 10)) == []


def test_what_is_too_large_even_for_a_blob_is_refused(app: App, jobs: FakeJobs) -> None:
    @actor
    def report(data: dict[str, str]) -> None: ...

    assert app.broker.large is not None
    app.broker.large._max_bytes = 200_000
    with pytest.raises(PayloadTooLarge, match=r"the 200,000 that blobs may have; .* raise blobs\.max_bytes"):
        report.send(LARGE)


def test_a_missing_blob_is_a_failure_for_good(app: App, jobs: FakeJobs) -> None:
    @actor
    def report(data: dict[str, str]) -> None: ...

    message = report.send(LARGE)
    app.blobs().remove([row[0] for row in app.blobs().page("", 10**15, 10)])
    jobs.run_all()
    job = job_of(jobs, message)
    assert (job.state, job.attempts, job.dead_letter) == (JobState.FAILED, 1, "dead-letter")
    assert error_of(jobs, message)["type"] == "BlobMissing"
    assert "not in the blob store" in error_of(jobs, message)["message"]


def test_a_damaged_blob_is_a_failure_for_good(app: App, jobs: FakeJobs) -> None:
    @actor
    def report(data: dict[str, str]) -> None: ...

    message = report.send(LARGE)
    ((key, job_id, *_),) = app.blobs().page("", 10**15, 10)
    app.blobs().remove([key])
    app.blobs().put(key, job_id, b"[[],{}]")
    jobs.run_all()
    assert "are damaged" in error_of(jobs, message)["message"]


def test_on_a_real_worker_they_are_encrypted_where_a_parameter_is_secret(
    real_app: App, running_worker: StartWorker
) -> None:
    @actor
    async def report(data: Annotated[dict[str, str], Secret]) -> int:
        return len(data["text"])

    message = report.send(LARGE)
    ((key, *_),) = real_app.blobs().page("", 10**15, 10)
    stored = real_app.blobs().get(key)
    assert stored is not None
    assert "Grüße".encode() not in stored
    running_worker()
    assert message.get_result(block=True, timeout=40_000) == len(LARGE["text"])
    eventually(lambda: real_app.store.stats(["report"])[0].completed_total == 1)
