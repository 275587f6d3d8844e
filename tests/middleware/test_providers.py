"""What a run says about its provider: pauses that it asked for, its breaker, the rate that backs off."""

from typing import Any

import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from integrations.errors import TransientFailure
from jobs.limits import News
from jobs.states import JobState
from middleware.providers import news_of
from tests.middleware.steps import job_of


@pytest.fixture
def policies() -> dict[str, Any]:
    gmail = {"failures": 2, "open_for": "30s", "rate": "10/s", "recover": "10s"}
    return {"providers": {"gmail": gmail}, "queue_defaults": {"backoff": {"delay_ms": 0}}}


class HttpError(Exception):
    def __init__(self, status: int, retry_after: float | None = None) -> None:
        super().__init__(f"HTTP {status}")
        self.status_code = status
        self.retry_after = retry_after


def test_an_overload_rests_the_tenant_as_long_as_was_asked_and_spends_no_attempt(
    jobs: FakeJobs, app: App
) -> None:
    answers: list[Exception | None] = [HttpError(429, 20), None, None, None]
    runs: list[str] = []

    @actor(provider="gmail", attempts=1)
    def sync(of: str) -> None:
        runs.append(of)
        if (answer := answers.pop(0)) is not None:
            raise answer

    first = sync.send_with_options(args=("acme",), tenant_id="acme")
    sync.send_with_options(args=("acme",), tenant_id="acme")
    jobs.run_all()
    assert runs == ["acme"]
    job = job_of(jobs, first)
    assert (job.state, job.attempts) == (JobState.WAITING, 0)
    sync.send_with_options(args=("zeta",), tenant_id="zeta")
    jobs.run_all()
    assert runs == ["acme", "zeta"]  # the other tenant's go on
    assert jobs.store.provider_states(["gmail"])[0].share == 0.5
    jobs.advance(21)
    jobs.run_all()
    assert runs == ["acme", "zeta", "acme", "acme"]


def test_failures_open_the_breaker_and_one_job_tries_before_the_others(jobs: FakeJobs) -> None:
    down, runs = [True], [0]

    @actor(provider="gmail", attempts=3)
    def sync() -> None:
        runs[0] += 1
        if down[0]:
            raise HttpError(503)

    messages = [sync.send() for _ in range(5)]
    jobs.run_all()
    assert runs == [2]  # the second opened it
    assert sum(job_of(jobs, message).attempts for message in messages) == 1
    jobs.advance(31)
    jobs.run_all()
    assert runs == [3]  # the one that tried; and no attempt was spent
    assert sum(job_of(jobs, message).attempts for message in messages) == 1
    assert jobs.store.provider_states(["gmail"])[0].state == "open"
    down[0] = False
    jobs.advance(61)
    jobs.run_all()
    assert runs == [8]
    assert jobs.store.provider_states(["gmail"])[0].state == "closed"
    assert {job_of(jobs, message).state for message in messages} == {JobState.COMPLETED}


def test_what_is_the_jobs_own_fault_opens_nothing(jobs: FakeJobs) -> None:
    @actor(provider="gmail", attempts=4)
    def sync() -> None:
        raise HttpError(404)

    message = sync.send()
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.FAILED
    assert jobs.store.provider_states(["gmail"])[0].failures == 0


@pytest.mark.parametrize(
    ("failure", "news"),
    [
        (HttpError(429), (News.OVERLOADED, 0)),
        (HttpError(503, 7), (News.OVERLOADED, 7_000)),
        (HttpError(500), (News.FAILED, 0)),
        (HttpError(404), (News.WORKED, 0)),
        (TimeoutError(), (News.FAILED, 0)),
        (ConnectionResetError(), (News.FAILED, 0)),
        (TransientFailure("slow", retry_after=3), (News.OVERLOADED, 3_000)),
        (TransientFailure("down"), (News.FAILED, 0)),
        (ValueError("no number"), (News.WORKED, 0)),
    ],
    ids=repr,
)
def test_what_failures_say(failure: Exception, news: tuple[News, int]) -> None:
    assert news_of(failure) == news
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = failure
    assert news_of(wrapped) == news
