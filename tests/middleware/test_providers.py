"""What a run says about its provider: pauses that it asked for, its breaker, the rate that backs off."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from integrations.errors import TransientFailure
from jobs.errors import LeaseLost, PermanentError, StepError, StoreUnavailable
from jobs.limits import News
from jobs.states import JobState
from middleware.deadlines import DeadlineExceeded
from middleware.providers import news_of
from tests.middleware.steps import error_of, job_of


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


def overloaded(runs: list[int], **options: Any) -> Any:
    @actor(provider="gmail", **options)
    def sync() -> None:
        runs.append(1)
        raise HttpError(429, 10)

    return sync


def test_what_is_final_is_not_held_though_its_provider_is_told(jobs: FakeJobs) -> None:
    runs: list[int] = []

    @actor(provider="gmail", attempts=3)
    def sync() -> None:
        runs.append(1)
        raise PermanentError("the account is closed") from HttpError(429)

    message = sync.send()
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.FAILED
    assert runs == [1]
    assert jobs.store.provider_states(["gmail"])[0].share == 0.5


@pytest.mark.parametrize(
    "final",
    [{"throws": HttpError}, {"retry_when": lambda error, attempt: False}],
    ids=["throws", "retry_when"],
)
def test_nor_is_what_its_actor_calls_final(jobs: FakeJobs, final: dict[str, Any]) -> None:
    runs: list[int] = []
    message = overloaded(runs, **final).send()
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.FAILED
    assert runs == [1]


@pytest.mark.parametrize(("bound", "code"), [("retry_for", "retry_for"), ("deadline", "deadline")])
def test_no_pause_goes_beyond_the_time_of_its_job(jobs: FakeJobs, bound: str, code: str) -> None:
    runs: list[int] = []
    message = overloaded(runs, attempts=1, **{bound: 25_000}).send()
    for _ in range(9):
        jobs.run_all()
        jobs.advance(10)
    assert (job_of(jobs, message).state, len(runs)) == (JobState.FAILED, 3)  # at 0, 10 and 20 s
    assert error_of(jobs, message)["code"] == code


def test_what_began_before_the_breaker_opened_does_not_decide_for_the_one_that_tries(
    jobs: FakeJobs, app: App
) -> None:
    terms = app.limits.provider("gmail").breaker
    for _ in range(2):
        jobs.store.provider_news("gmail", News.FAILED, terms, queue="sync")
    jobs.advance(31)

    @actor(provider="gmail")
    def sync() -> None:
        straggler = jobs.store.provider_news("gmail", News.FAILED, terms, queue="sync")
        assert straggler.state == "half-open"

    sync.send()
    jobs.run_all()
    assert jobs.store.provider_states(["gmail"])[0].state == "closed"


@pytest.mark.parametrize(
    "ended",
    [
        DeadlineExceeded(),
        LeaseLost("gone"),
        StepError("its name is taken"),
        StoreUnavailable("our own store"),
        ExceptionGroup("tasks", [StepError("its name is taken")]),
    ],
    ids=repr,
)
def test_a_probe_that_was_not_answered_leaves_the_breaker_as_it_is(
    jobs: FakeJobs, app: App, ended: BaseException
) -> None:
    terms = app.limits.provider("gmail").breaker
    for _ in range(2):
        jobs.store.provider_news("gmail", News.FAILED, terms, queue="sync")
    jobs.advance(31)
    ended.__cause__ = ConnectionResetError()

    @actor(provider="gmail")
    def sync() -> None:
        raise ended

    sync.send()
    proxy = jobs._next()
    assert proxy is not None
    jobs.run(proxy)
    assert proxy.probe
    state = jobs.store.provider_states(["gmail"])[0]
    assert (state.state, state.failures) == ("half-open", 0)


class Answered(Exception):
    """As HTTP clients have it: the answer is beside the exception."""

    def __init__(self, status: int, **headers: str) -> None:
        super().__init__()
        self.response = SimpleNamespace(
            status_code=status, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )


def test_a_retry_after_may_be_a_date_by_the_clock_of_the_provider() -> None:
    at = {"Retry_After": "Fri, 31 Dec 1999 23:59:59 GMT", "Date": "Fri, 31 Dec 1999 23:59:29 GMT"}
    assert news_of(Answered(503, **at)) == (News.OVERLOADED, 30_000)
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    news, wait_ms = news_of(Answered(503, Retry_After=soon))
    assert news is News.OVERLOADED
    assert 90_000 < wait_ms <= 100_000
    assert news_of(Answered(503, Retry_After="soon")) == (News.FAILED, 0)


def test_a_group_says_what_is_in_it() -> None:
    assert news_of(ExceptionGroup("tasks", [HttpError(500)])) == (News.FAILED, 0)
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = ExceptionGroup("tasks", [ValueError(), HttpError(429, 3)])
    assert news_of(wrapped) == (News.OVERLOADED, 3_000)


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
