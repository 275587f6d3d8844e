"""After which failures a job is tried again, and when."""

from typing import Any

import dramatiq
import pytest
from dramatiq.broker import MessageProxy
from dramatiq.errors import Retry

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs, fake
from integrations.errors import MissingExtra, PermanentFailure, TransientFailure
from jobs.backoff import Backoff
from jobs.errors import HoldJob, InvalidPayload, JobCancelled, PermanentError, RetryAfter
from jobs.model import Outcome, Verdict
from jobs.states import JobState
from middleware.delivery import delivery
from middleware.retries import LONGEST_WAIT_MS, parse_backoff
from tests.fundamentals.stage import make_app
from tests.middleware.steps import error_of, events, job_of

DEAD = "dead"


class AskedOddly(Exception):
    def __init__(self, retry_after: object) -> None:
        self.retry_after = retry_after


@pytest.mark.parametrize(
    ("failure", "wait_ms"),
    [
        (ValueError("x"), 1_000),
        (TransientFailure("busy"), 1_000),
        (TransientFailure("busy", retry_after=7.5), 7_500),
        (TransientFailure("busy", retry_after=0), 0),
        (TransientFailure("busy", retry_after=10**9), LONGEST_WAIT_MS),
        (RetryAfter(90), 90_000),
        (RetryAfter(0.2), 200),
        (RetryAfter(-5), 0),
        (RetryAfter(float("inf")), LONGEST_WAIT_MS),
        (Retry("later", delay=4_000), 4_000),
        (Retry("later"), 1_000),
        (AskedOddly("tomorrow"), 1_000),
        (AskedOddly(float("nan")), 1_000),
        (AskedOddly(None), 1_000),
        (PermanentError("no"), DEAD),
        (PermanentFailure("no"), DEAD),
        (MissingExtra("documents"), DEAD),
        (InvalidPayload("no"), DEAD),
        (SystemExit(1), 1_000),
    ],
    ids=repr,
)
def test_the_failure_decides(jobs: FakeJobs, failure: BaseException, wait_ms: int | str) -> None:
    @actor
    def failing() -> None:
        raise failure

    message = failing.send()
    sent_at = job_of(jobs, message).created_at
    assert jobs.run_all() >= 1

    job = job_of(jobs, message)
    if wait_ms == DEAD:
        assert (job.state, job.attempts) == (JobState.FAILED, 1)
    elif wait_ms == 0:
        assert (job.state, job.attempts) == (JobState.FAILED, 3), "it came back at once, three times in all"
    else:
        assert (job.state, job.attempts) == (JobState.DELAYED, 1)
        assert (job.due_at or 0) - sent_at == wait_ms
    assert error_of(jobs, message)["type"] == type(failure).__name__


def test_a_failure_that_would_be_retried_is_final_when_the_attempts_are_used_up(jobs: FakeJobs) -> None:
    @actor(attempts=2)
    def failing() -> None:
        raise RetryAfter(0)

    message = failing.send()
    assert jobs.run_all() == 2
    assert job_of(jobs, message).state is JobState.FAILED
    assert [event.outcome.value for event in events(jobs)] == ["retry", "failed"]


@pytest.mark.parametrize(
    ("of_call", "of_actor", "wait_s"),
    [
        (None, None, 10),
        (None, {"delay": 20_000}, 20),
        ({"delay": 30_000}, {"delay": 20_000}, 30),
        ({"type": "fixed"}, {"delay": 20_000}, 10),  # what a call leaves out comes from the queue
    ],
)
def test_the_backoff_is_the_calls_or_the_actors_or_the_queues(
    monkeypatch: pytest.MonkeyPatch, of_call: Any, of_actor: Any, wait_s: int
) -> None:
    queues = {"webhook-receive": {"backoff": {"type": "linear", "delay_ms": "10s"}}}
    app = make_app(monkeypatch, queues=queues)

    def failing() -> None:
        raise ConnectionError

    options = {} if of_actor is None else {"backoff": of_actor}
    receive = actor(queue="webhook-receive", **options)(failing)
    with fake(app.broker) as jobs:
        message = receive.send_with_options(backoff=of_call)
        jobs.run_all()
        job = job_of(jobs, message)
        assert (job.due_at or 0) - job.created_at == wait_s * 1_000


BAD = [
    ("soon", "takes the keys type, delay, max and jitter"),
    ({"dealy": 5}, "takes the keys type, delay, max and jitter"),
    ({"type": "random"}, "type must be one of exponential, fixed, linear"),
    ({"type": ["fixed"]}, "type must be one of"),
    ({"delay": "1s"}, "delay must be a number of milliseconds"),
    ({"delay": True}, "delay must be a number of milliseconds"),
    ({"delay": -1}, "delay must be a number of milliseconds"),
    ({"max": 1.5}, "max must be a number of milliseconds"),
    ({"jitter": 2}, "jitter must be a number from 0 to 1"),
    ({"jitter": float("nan")}, "jitter must be a number from 0 to 1"),
]


@pytest.mark.parametrize(("backoff", "reason"), BAD)
def test_a_bad_backoff_is_refused_at_send(jobs: FakeJobs, backoff: Any, reason: str) -> None:
    @actor
    def failing() -> None: ...

    with pytest.raises(InvalidPayload, match=reason):
        failing.send_with_options(backoff=backoff)
    assert jobs.queued() == []


@pytest.mark.parametrize(("backoff", "reason"), BAD)
def test_a_bad_backoff_of_an_actor_is_refused_when_it_is_declared(
    app: App, backoff: Any, reason: str
) -> None:
    with pytest.raises(InvalidPayload, match=reason):

        @actor(backoff=backoff)
        def failing() -> None: ...


def test_what_a_backoff_leaves_out_comes_from_the_default() -> None:
    default = Backoff("linear", 1_000, 9_000, 0.5)
    assert parse_backoff({}, default) == default
    assert parse_backoff({"type": "fixed", "max": 5}, default) == Backoff("fixed", 1_000, 5, 0.5)


@pytest.mark.parametrize("error", ["card declined", {"code": 402}, None])
def test_success_false_is_a_permanent_failure_with_the_given_reason(jobs: FakeJobs, error: object) -> None:
    @actor
    def charge() -> dict[str, object]:
        return {"success": False, "error": error}

    message = charge.send()
    assert jobs.run_all() == 1
    assert job_of(jobs, message).state is JobState.FAILED
    assert error_of(jobs, message)["message"] == (
        str(error) if error else "the actor returned success: false"
    )
    assert jobs.store.stats(["charge"])[0].completed_total == 0


@pytest.mark.parametrize(
    ("end", "state", "outcomes"),
    [
        (HoldJob(60, "busy"), JobState.WAITING, []),
        (JobCancelled("not wanted any more"), JobState.CANCELLED, ["cancelled"]),
    ],
    ids=["held", "cancelled"],
)
def test_a_job_that_is_held_or_cancelled_has_not_failed(
    jobs: FakeJobs, end: Exception, state: JobState, outcomes: list[str]
) -> None:
    told = []

    @actor
    def tell(message: dict[str, Any], failure: dict[str, Any]) -> None:
        told.append(failure)

    @actor(attempts=1)
    def ends() -> None:
        raise end

    message = ends.send_with_options(on_failure=tell)
    jobs.run_all()
    job = job_of(jobs, message)
    assert (job.state, job.attempts) == (state, 0 if state is JobState.WAITING else 1)
    assert [event.outcome.value for event in events(jobs)] == outcomes
    assert told == []


class Cancelling(dramatiq.Middleware):
    """Stands nearer to the actor than Retries, and decides for itself."""

    def after_process_message(
        self, broker: dramatiq.Broker, message: MessageProxy, *, result: Any = None, exception: Any = None
    ) -> None:
        job = delivery(message)
        job.verdict = Verdict(job.job.id, job.job.token, Outcome.CANCELLED)


def test_a_verdict_of_a_middleware_nearer_to_the_actor_stands(app: App) -> None:
    app.broker.add_middleware(Cancelling())

    @actor
    def failing() -> None:
        raise ValueError("x")

    with fake(app.broker) as jobs:
        message = failing.send()
        jobs.run_all()
        assert job_of(jobs, message).state is JobState.CANCELLED
