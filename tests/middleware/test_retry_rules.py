"""What an actor, a call and the settings say about which failures are tried again, and until when."""

from typing import Any

import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs, fake
from integrations.errors import PermanentFailure, TransientFailure
from jobs.errors import InvalidPayload, PermanentError, RetryAfter
from jobs.states import JobState
from middleware.retries import LONGEST_BACKOFF_MS
from tests.fundamentals.stage import make_app
from tests.middleware.steps import details, error_of, job_of

DEAD, AGAIN = JobState.FAILED, JobState.DELAYED


class Declined(Exception):
    def __init__(self, message: str = "", status_code: int | None = None) -> None:
        super().__init__(message)
        if status_code is not None:
            self.status_code = status_code


@pytest.mark.parametrize(
    ("failure", "state"),
    [
        (Declined("Authentication failed for this key"), DEAD),
        (Declined(status_code=404), DEAD),
        (Declined(status_code=503), AGAIN),
        (Declined("Rate limit exceeded"), AGAIN),
        (Declined("who knows"), AGAIN),
        (TransientFailure("Resource not found by this mirror"), AGAIN),  # its type is surer than its words
        (PermanentFailure("Rate limit exceeded"), DEAD),
    ],
    ids=repr,
)
def test_the_lists_know_which_failures_last(jobs: FakeJobs, failure: Exception, state: JobState) -> None:
    @actor
    def failing() -> None:
        raise failure

    message = failing.send()
    jobs.run_all()
    assert job_of(jobs, message).state is state


def test_the_settings_add_to_the_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    retries = {"retryable": ["http:404"], "permanent": ["Declined", "no such customer"]}
    app = make_app(monkeypatch, retries=retries)

    @actor
    def declined() -> None:
        raise Declined

    @actor
    def not_there_yet() -> None:
        error = LookupError("eventually consistent")
        error.status = 404  # type: ignore[attr-defined]
        raise error

    @actor
    def unknown() -> None:
        raise LookupError("there is No Such Customer here")

    with fake(app.broker) as jobs:
        sent = [each.send() for each in (declined, not_there_yet, unknown)]
        jobs.run_all()
        assert [job_of(jobs, one).state for one in sent] == [DEAD, AGAIN, DEAD]


class TestRetryWhen:
    """An actor's own word: yes, no, or None for whatever holds without it."""

    def test_it_decides_over_the_lists(self, jobs: FakeJobs) -> None:
        asked = []

        def while_young(exception: BaseException, attempt: int) -> bool | None:
            asked.append((str(exception), attempt))
            return None if str(exception) == "whatever" else attempt < 2

        @actor(attempts=9, backoff={"type": "fixed", "delay": 0}, retry_when=while_young)
        def failing(words: str) -> None:
            raise Declined(words, 404)

        message, other = failing.send("not yet"), failing.send("whatever")
        jobs.run_all()
        assert (job_of(jobs, message).state, job_of(jobs, message).attempts) == (DEAD, 2)
        assert (job_of(jobs, other).state, job_of(jobs, other).attempts) == (DEAD, 1)
        assert sorted(asked) == [("not yet", 1), ("not yet", 2), ("whatever", 1)]

    def test_it_is_not_asked_about_what_says_so_itself(self, jobs: FakeJobs) -> None:
        @actor(retry_when=lambda exception, attempt: True)
        def final() -> None:
            raise PermanentError("no")

        @actor(retry_when=lambda exception, attempt: False)
        def soon() -> None:
            raise RetryAfter(60)

        sent = [final.send(), soon.send()]
        jobs.run_all()
        assert [job_of(jobs, one).state for one in sent] == [DEAD, AGAIN]

    @pytest.mark.parametrize("wrong", ["always", lambda exception: True], ids=["text", "one parameter"])
    def test_what_cannot_be_asked_is_refused_when_the_actor_is_declared(
        self, jobs: FakeJobs, wrong: Any
    ) -> None:
        with pytest.raises(InvalidPayload, match="must be a function of the exception and the attempt"):

            @actor(retry_when=wrong)
            def failing() -> None: ...


def test_what_an_actor_throws_on_purpose_is_final_as_in_dramatiq(jobs: FakeJobs) -> None:
    @actor(throws=(KeyError, TimeoutError))
    def failing(kind: str) -> None:
        raise {"key": KeyError, "time": TimeoutError, "value": ValueError}[kind]

    sent = [failing.send(kind) for kind in ("key", "time", "value")]
    jobs.run_all()
    assert [job_of(jobs, one).state for one in sent] == [DEAD, DEAD, AGAIN]


class TestRetryFor:
    """No retry starts later than so long after the job might start first."""

    @staticmethod
    def failing(**options: Any) -> Any:
        @actor(attempts=10, backoff={"type": "fixed", "delay": 60_000}, **options)
        def failing() -> None:
            raise ConnectionError

        return failing

    @staticmethod
    def attempts(jobs: FakeJobs, message: Any) -> int:
        for _ in range(20):
            jobs.run_all()
            jobs.advance(60)
        job = job_of(jobs, message)
        assert job.state is DEAD
        return job.attempts

    def test_it_ends_the_retries_before_the_attempts_are_used_up(self, jobs: FakeJobs) -> None:
        message = self.failing(retry_for=150_000).send()
        assert self.attempts(jobs, message) == 3  # at 0, 60 and 120 s
        assert error_of(jobs, message)["code"] == "retry_for"
        assert [one.error_code for one in details(jobs)] == ["retryable", "retryable", "retry_for"]

    def test_a_call_says_more_than_its_actor_and_that_more_than_the_queue(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app = make_app(monkeypatch, queues={"failing": {"retry_for_ms": "1h", "attempts": 3}})
        assert app.rules_of("failing").retry_for_ms == 3_600_000
        failing = self.failing(retry_for=90_000)
        with fake(app.broker) as jobs:
            assert self.attempts(jobs, failing.send()) == 2
            assert self.attempts(jobs, failing.send_with_options(retry_for=30_000)) == 1
            assert self.attempts(jobs, failing.send_with_options(retry_for=0)) == 10

    def test_the_time_that_a_job_is_delayed_does_not_count(self, jobs: FakeJobs) -> None:
        failing = self.failing(retry_for=90_000)
        later = job_of(jobs, failing.send()).created_at + 300_000
        delayed = failing.send_with_options(delay=300_000)
        at = failing.send_with_options(run_at=later)
        assert self.attempts(jobs, delayed) == 2
        assert job_of(jobs, at).attempts == 2

    def test_a_message_that_is_sent_again_has_no_longer_time(self, app: App, jobs: FakeJobs) -> None:
        message = self.failing(retry_for=90_000).message_with_options(retry_for=90_000)
        for _ in range(3):
            sent = app.broker.enqueue(message, delay=300_000)
            app.broker.enqueue(sent, delay=300_000)
        assert sent.options["retry_for"] == message.options["retry_for"] == 90_000
        assert self.attempts(jobs, sent) == 2
        soon = app.broker.enqueue(message.copy(message_id="soon"))
        assert self.attempts(jobs, soon) == 2

    @pytest.mark.parametrize("wrong", [-1, "1h", True, 10**13])
    def test_what_is_no_time_is_refused_at_send(self, jobs: FakeJobs, wrong: Any) -> None:
        with pytest.raises(InvalidPayload, match="retry_for must be a whole number"):
            self.failing().send_with_options(retry_for=wrong)


def test_a_wait_that_no_clock_can_hold_is_refused(jobs: FakeJobs) -> None:
    @actor
    def failing() -> None: ...

    with pytest.raises(InvalidPayload, match=r"backoff\.delay must be at most"):
        failing.send_with_options(backoff={"delay": LONGEST_BACKOFF_MS + 1})


def test_the_record_of_each_failure_says_its_kind_and_its_fingerprint(jobs: FakeJobs) -> None:
    @actor(attempts=2, backoff={"delay": 0})
    def failing() -> None:
        raise ConnectionError

    @actor
    def wrong() -> None:
        raise PermanentError("no")

    sent = failing.send(), wrong.send()
    jobs.run_all()
    exhausted, permanent = (error_of(jobs, one) for one in sent)
    assert (exhausted["code"], permanent["code"]) == ("exhausted", "permanent")
    assert exhausted["fingerprint"] != permanent["fingerprint"]
    assert {one.fingerprint for one in details(jobs)} == {exhausted["fingerprint"], permanent["fingerprint"]}
