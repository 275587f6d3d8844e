"""A middleware that breaks must neither let a job pass unguarded nor lose it.

Stock Dramatiq logs what a hook raises and goes on: a failed encryption would send clear text.
"""

from typing import Any

import dramatiq
import pytest
from dramatiq.middleware import MiddlewareError, SkipMessage

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from jobs.states import JobState
from middleware.retries import Retries
from tests.middleware.steps import details, error_of, job_of


class Broken(dramatiq.Middleware):
    """Raises `error` in the hook of one name."""

    def __init__(self, hook: str, error: BaseException) -> None:
        def raising(*args: Any, **kwargs: Any) -> None:
            raise error

        # The broker looks at the class for the hooks that it has.
        self.__class__ = type("Broken", (Broken,), {hook: raising})  # type: ignore[assignment]


def add_broken(app: App, hook: str, error: BaseException | None = None) -> None:
    app.broker.add_middleware(Broken(hook, error or RuntimeError("the key is missing")))


def declare(runs: list[int], **options: Any) -> "dramatiq.Actor[[int], int]":
    @actor(**options)
    def count(number: int) -> int:
        runs.append(number)
        return number

    return count


def test_before_enqueue_fails_closed_so_the_job_is_not_sent(app: App, jobs: FakeJobs) -> None:
    count = declare([])
    add_broken(app, "before_enqueue")

    with pytest.raises(RuntimeError, match="the key is missing"):
        count.send(1)
    assert jobs.queued() == []


def test_after_enqueue_is_only_told_so_the_job_stays_sent(
    app: App, jobs: FakeJobs, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[int] = []
    count = declare(runs)
    add_broken(app, "after_enqueue")

    count.send(1)
    assert "after_enqueue of Broken failed: " in caplog.text
    jobs.run_all()
    assert runs == [1]


def test_before_process_message_fails_closed_so_the_actor_does_not_run(app: App, jobs: FakeJobs) -> None:
    runs: list[int] = []
    count = declare(runs, attempts=2)
    add_broken(app, "before_process_message")

    message = count.send(1)
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.DELAYED, "it is tried again"
    assert error_of(jobs, message)["message"] == "the key is missing"

    jobs.advance(60)
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.FAILED
    assert runs == []


def test_an_error_of_dramatiqs_own_kind_stops_the_job_too(app: App, jobs: FakeJobs) -> None:
    runs: list[int] = []
    count = declare(runs, attempts=1)
    add_broken(app, "before_process_message", MiddlewareError("no"))

    message = count.send(1)
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.FAILED
    assert runs == []


def test_a_skipped_job_counts_as_done(app: App, jobs: FakeJobs) -> None:
    runs: list[int] = []
    count = declare(runs)
    add_broken(app, "before_process_message", SkipMessage("not today"))

    message = count.send(1)
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.COMPLETED
    assert runs == []


def test_a_job_that_was_skipped_as_failed_is_a_dead_letter_with_its_reason(app: App, jobs: FakeJobs) -> None:
    class Expired(dramatiq.Middleware):
        def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
            message.fail()
            raise SkipMessage("it came too late")

    count = declare([])
    app.broker.add_middleware(Expired())
    message = count.send(1)
    jobs.run_all()

    assert job_of(jobs, message).state is JobState.FAILED
    assert error_of(jobs, message)["message"] == "it came too late"
    (detail,) = details(jobs)
    assert (detail.error_code, detail.reason) == ("permanent", "it came too late")


def test_a_job_that_was_done_stays_done_when_an_after_hook_breaks(
    app: App, jobs: FakeJobs, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[int] = []
    count = declare(runs)
    add_broken(app, "after_process_message")

    message = count.send(1)
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.COMPLETED
    assert message.get_result() == 1
    assert "after_process_message of Broken failed: " in caplog.text


def test_a_failed_job_is_tried_again_even_when_the_retries_break(
    app: App, jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    @actor(attempts=2)
    def failing() -> None:
        raise LookupError("first trouble")

    def no_rules(queue: str) -> None:
        raise RuntimeError("second trouble")

    retries = next(middleware for middleware in app.broker.middleware if isinstance(middleware, Retries))
    monkeypatch.setattr(retries, "_rules_of", no_rules)
    message = failing.send()
    jobs.run_all()

    job = job_of(jobs, message)
    assert (job.state, job.attempts) == (JobState.DELAYED, 1)
    assert error_of(jobs, message)["message"] == "first trouble"
    jobs.advance(10)
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.FAILED, "and its attempts still end"


def test_a_broken_declaration_is_heard(app: App) -> None:
    add_broken(app, "after_declare_actor")
    with pytest.raises(RuntimeError, match="the key is missing"):
        declare([])


@pytest.mark.parametrize("text", ["half of a pair: \ud83d", "", "\0"])
def test_a_failure_that_can_hardly_be_written_down_still_settles_its_job(jobs: FakeJobs, text: str) -> None:
    @actor(attempts=1)
    def failing() -> None:
        raise ValueError(text)

    message = failing.send()
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.FAILED
    assert error_of(jobs, message)["type"] == "ValueError"


def test_even_a_failure_that_cannot_say_what_it_is(jobs: FakeJobs) -> None:
    class Speechless(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    @actor(attempts=1)
    def failing() -> None:
        raise Speechless

    message = failing.send()
    jobs.run_all()
    assert error_of(jobs, message)["message"] == "Speechless"
