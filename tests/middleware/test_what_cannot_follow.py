"""What follows from a job cannot be sent: the job is not called done as if nothing were missing."""

from typing import Annotated, Any

import dramatiq
import pytest
from dramatiq.middleware import SkipMessage

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from broker.worker.unsent import wait_to_send
from jobs.backoff import Backoff
from jobs.errors import KeyUnavailable, PermanentError, StoreUnavailable
from jobs.marks import Secret
from jobs.states import JobState
from tests.broker.workers import state_of
from tests.fundamentals.stage import StartWorker
from tests.middleware.steps import error_of, events, job_of
from tests.waiting import eventually


@pytest.fixture
def told() -> list[Any]:
    """What the callbacks of these tests are told."""
    return []


@pytest.fixture
def callbacks(app: App, told: list[Any]) -> None:
    @actor
    def is_done(message: dict[str, Any], result: Any) -> None:
        told.append(("done", result))

    @actor
    def has_failed(message: dict[str, Any], error: dict[str, Any]) -> None:
        told.append((error["outcome"], error["type"]))


def chained(first: "dramatiq.Actor[..., Any]", then: "dramatiq.Actor[..., Any]") -> "dramatiq.Message[Any]":
    pipeline = dramatiq.pipeline([first.message(), then.message()]).run()
    return pipeline.messages[0]


def test_a_result_that_the_next_job_cannot_take_fails_the_job_with_that_reason(
    callbacks: None, jobs: FakeJobs, told: list[Any]
) -> None:
    runs: list[int] = []

    @actor(on_success="is_done", on_failure="has_failed")
    def text() -> str:
        runs.append(1)
        return "not a number"

    @actor
    def number(given: int) -> None:
        raise AssertionError

    message = chained(text, number)
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.FAILED
    assert error_of(jobs, message)["type"] == "InvalidPayload"
    assert "number cannot take these arguments: given" in error_of(jobs, message)["message"]
    assert runs == [1], "the same result would be refused again"
    assert told == [("failed", "InvalidPayload")], "and nobody is told that it was done"


def test_so_does_a_result_that_is_too_long_for_the_next_job(callbacks: None, jobs: FakeJobs) -> None:
    @actor
    def large() -> str:
        return "x" * 120_000

    @actor
    def reads(text: str) -> None:
        raise AssertionError

    message = chained(large, reads)
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.FAILED
    assert error_of(jobs, message)["type"] == "PayloadTooLarge"
    assert job_of(jobs, message).dead_letter == "dead-letter"


def test_a_callback_that_cannot_take_the_result_is_a_failure_that_is_told(
    callbacks: None, jobs: FakeJobs, told: list[Any]
) -> None:
    @actor
    def counts(message: dict[str, Any], result: int) -> None:
        raise AssertionError

    @actor(on_success="counts", on_failure="has_failed")
    def text() -> str:
        return "seven"

    message = text.send()
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.FAILED
    assert told == [("failed", "InvalidPayload")]


def test_what_may_pass_is_waited_for_without_an_attempt(
    callbacks: None, app: App, jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch, told: list[Any]
) -> None:
    runs, away = [0], [True]

    @actor
    def next_one(result: int) -> None:
        told.append(("next", result))

    @actor(attempts=1, on_success="is_done")
    def work() -> int:
        runs[0] += 1
        return runs[0]

    encode = app.broker.codec.encode

    def failing(message: "dramatiq.Message[Any]", *given: Any, **options: Any) -> bytes:
        if message.actor_name == "next_one" and message.args and away:
            raise KeyUnavailable("the database with the tenants' keys is away")
        return encode(message, *given, **options)

    monkeypatch.setattr(app.broker.codec, "encode", failing)
    message = chained(work, next_one)
    for wait in (10, 20, 40):
        jobs.run_all()
        job = job_of(jobs, message)
        assert (job.state, job.attempts) == (JobState.WAITING, 0)
        assert job.held_reason == (
            "what follows from it could not be sent: the database with the tenants' keys is away"
        )
        jobs.advance(wait - 1)
        assert jobs.run_all() == 0, "each wait is twice the one before: a run does the work again"
        jobs.advance(1)
    assert told == []
    away.clear()
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.COMPLETED
    assert (runs, sorted(told)) == ([4], [("done", 4), ("next", 4)])


def test_a_group_member_that_cannot_be_counted_runs_again(
    callbacks: None, app: App, jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch, told: list[Any]
) -> None:
    @actor
    def member() -> None: ...

    @actor
    def complete() -> None:
        told.append("complete")

    arrive, away = jobs.store.arrive, [True]

    def failing(group: str, job_id: str) -> bool:
        if away:
            away.clear()
            raise StoreUnavailable("no answer")
        return arrive(group, job_id)

    monkeypatch.setattr(jobs.store, "arrive", failing)
    group = dramatiq.group([member.message()])
    group.add_completion_callback(complete.message())
    group.run()
    jobs.run_all()
    assert told == []
    jobs.advance(10)
    jobs.run_all()
    assert told == ["complete"]


def test_a_failure_whose_callback_cannot_be_sent_yet_waits_too(
    callbacks: None, app: App, jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch, told: list[Any]
) -> None:
    @actor(on_failure="has_failed")
    def failing() -> None:
        raise PermanentError("no")

    encode, away = app.broker.codec.encode, [True]

    def without_key(message: "dramatiq.Message[Any]", *given: Any, **options: Any) -> bytes:
        if message.actor_name == "has_failed" and away:
            away.clear()
            raise KeyUnavailable("the database is away")
        return encode(message, *given, **options)

    monkeypatch.setattr(app.broker.codec, "encode", without_key)
    message = failing.send()
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.WAITING
    jobs.advance(10)
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.FAILED
    assert told == [("failed", "PermanentError")]


class Sends(dramatiq.Middleware):
    """A middleware of a user's own that sends a job after each run."""

    def __init__(self, what: Any) -> None:
        self.what = what

    def after_process_message(self, broker: Any, message: Any, *, result: Any = None, **more: Any) -> None:
        if message.actor_name == "work":
            broker.get_actor("counted").send(self.what)


def test_it_holds_for_what_a_middleware_of_your_own_sends(app: App, jobs: FakeJobs) -> None:
    @actor
    def counted(number: int) -> None:
        raise AssertionError

    @actor
    def work() -> None: ...

    app.broker.add_middleware(Sends("no number"))
    message = work.send()
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.FAILED
    assert error_of(jobs, message)["type"] == "InvalidPayload"


def test_what_nobody_knows_is_tried_again_by_the_attempts(app: App, jobs: FakeJobs) -> None:
    class Broken(dramatiq.Middleware):
        def before_enqueue(self, broker: Any, message: Any, delay: int | None) -> None:
            if message.actor_name == "counted":
                raise LookupError("a bug")

    @actor
    def counted(number: int) -> None:
        raise AssertionError

    @actor(attempts=2)
    def work() -> None: ...

    app.broker.add_middleware(Sends(1))
    app.broker.add_middleware(Broken())
    message = work.send()
    jobs.run_all()
    assert (job_of(jobs, message).state, job_of(jobs, message).attempts) == (JobState.DELAYED, 1)
    jobs.advance(10)
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.FAILED
    assert error_of(jobs, message)["type"] == "LookupError"
    assert [event.outcome.value for event in events(jobs)] == ["retry", "failed"]


def test_the_wait_ends_at_ten_minutes(app: App, jobs: FakeJobs) -> None:
    @actor
    def work() -> None: ...

    work.send()
    proxy = jobs._next()
    assert proxy is not None
    proxy.job = proxy.job._replace(token=1_000)
    assert wait_to_send(proxy, StoreUnavailable("away")).seconds == 600


# A failure is final although a hook broke


def test_a_final_failure_is_told_although_another_hook_broke(
    callbacks: None, app: App, jobs: FakeJobs, told: list[Any]
) -> None:
    class Broken(dramatiq.Middleware):
        def after_process_message(self, broker: Any, message: Any, **more: Any) -> None:
            if message.actor_name == "boom":
                raise KeyError("a bug of a user's middleware")

    @actor(attempts=3, on_failure="has_failed")
    def boom() -> None:
        raise PermanentError("no")

    app.broker.add_middleware(Broken())
    message = boom.send()
    jobs.run_all()
    assert (job_of(jobs, message).state, job_of(jobs, message).attempts) == (JobState.FAILED, 1)
    assert told == [("failed", "PermanentError")]


# A job that was skipped is done, and what follows goes on


class Skips(dramatiq.Middleware):
    def before_process_message(self, broker: Any, message: Any) -> None:
        if message.actor_name == "member" and message.args == (2,):
            raise SkipMessage("not needed")


def test_a_skipped_member_counts_for_its_group(app: App, jobs: FakeJobs, told: list[Any]) -> None:
    @actor
    def member(number: int) -> None: ...

    @actor
    def complete() -> None:
        told.append("complete")

    app.broker.add_middleware(Skips())
    group = dramatiq.group([member.message(1), member.message(2)])
    group.add_completion_callback(complete.message())
    group.run()
    jobs.run_all()
    assert told == ["complete"]


def test_a_skipped_job_hands_none_to_the_next_of_its_pipeline(
    app: App, jobs: FakeJobs, told: list[Any]
) -> None:
    @actor
    def member(number: int) -> int:
        return number

    @actor
    def then(result: int | None) -> None:
        told.append(result)

    app.broker.add_middleware(Skips())
    dramatiq.pipeline([member.message(2), then.message()]).run()
    jobs.run_all()
    assert told == [None]


# A result that cannot be sealed for others


def test_a_result_that_cannot_be_kept_for_others_still_has_its_callback(
    real_app: App, running_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    @actor
    def is_done(message: dict[str, Any], result: Any) -> None:
        told.append(result)

    @actor(cache={"ttl": "10min"}, on_success="is_done")
    def lookup(card: Annotated[str, Secret]) -> int:
        return 7

    seal = real_app.broker.codec.seal
    assert seal is not None
    close = type(seal).close

    def without_key(self: Any, data: bytes, about: Any, **more: Any) -> bytes:
        if about.kind == "result" and "cache" in about.job_id:
            raise KeyUnavailable("the database is away")
        return close(self, data, about, **more)

    message = lookup.send_with_options(args=("4111",), tenant_id="acme")
    monkeypatch.setattr(type(seal), "close", without_key)
    running_worker()
    eventually(lambda: told == [7], timeout=20)
    eventually(lambda: state_of(real_app.store, message.message_id) is JobState.COMPLETED)


# All of it on a real worker


def test_no_job_of_a_pipeline_is_lost_on_a_real_worker(
    real_app: App, running_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr("broker.worker.unsent.WAIT", Backoff("fixed", 200))

    @actor
    def has_failed(message: dict[str, Any], error: dict[str, Any]) -> None:
        told.append(error["type"])

    @actor(attempts=1, on_failure="has_failed")
    def text() -> str:
        return "seven"

    @actor
    def number(given: int) -> None: ...

    @actor
    def words(given: str) -> None:
        told.append(given)

    encode, away = real_app.broker.codec.encode, [True, True]

    def failing(message: "dramatiq.Message[Any]", *given: Any, **options: Any) -> bytes:
        if message.actor_name == "words" and message.args and away:
            away.pop()
            raise KeyUnavailable("the database with the tenants' keys is away")
        return encode(message, *given, **options)

    monkeypatch.setattr(real_app.broker.codec, "encode", failing)
    wrong, right = chained(text, number), chained(text, words)
    running_worker()
    eventually(lambda: sorted(told) == ["InvalidPayload", "seven"], timeout=20)
    eventually(lambda: state_of(real_app.store, wrong.message_id) is JobState.FAILED)
    eventually(lambda: state_of(real_app.store, right.message_id) is JobState.COMPLETED)
