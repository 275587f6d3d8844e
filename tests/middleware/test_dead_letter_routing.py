"""Where a job goes that failed for good is a rule of its queue."""

from typing import Any

import dramatiq
import pytest

from actors.declare import actor
from broker.testing import fake
from jobs.errors import PermanentError
from jobs.model import Outcome, Verdict
from jobs.states import JobState
from tests.fundamentals.stage import make_app
from tests.middleware.steps import error_of, job_of


@pytest.mark.parametrize(
    ("queue", "dead_letter"), [("charges", "unpaid"), ("letters", "undelivered"), ("rest", "dead-letter")]
)
def test_each_queue_has_its_rule(monkeypatch: pytest.MonkeyPatch, queue: str, dead_letter: str) -> None:
    queues = {"charges": {"dead_letter": "unpaid"}}
    app = make_app(monkeypatch, queues=queues | {"letters": {"dead_letter": "undelivered"}})

    @actor(queue=queue)
    def failing() -> None:
        raise PermanentError("no")

    with fake(app.broker) as jobs:
        message = failing.send()
        jobs.run_all()
        job = job_of(jobs, message)
        assert (job.state, job.queue, job.dead_letter) == (JobState.FAILED, queue, dead_letter)
        assert error_of(jobs, message)["message"] == "no"


def test_a_job_that_will_be_retried_is_no_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(monkeypatch)

    @actor
    def failing() -> None:
        raise ConnectionError

    with fake(app.broker) as jobs:
        message = failing.send()
        jobs.run_all()
        assert job_of(jobs, message).dead_letter is None
        assert jobs.store.stats(["dead-letter"])[0].dead_letters == 0


def test_a_job_that_another_middleware_judged_is_left_to_its_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cancelling(dramatiq.Middleware):
        def after_process_message(self, broker: dramatiq.Broker, message: Any, **ended: Any) -> None:
            message.verdict = Verdict(message.job.id, message.job.token, Outcome.CANCELLED)

    app = make_app(monkeypatch)
    app.broker.add_middleware(Cancelling())

    @actor
    def failing() -> None:
        raise PermanentError("no")

    with fake(app.broker) as jobs:
        message = failing.send()
        jobs.run_all()
        job = job_of(jobs, message)
        assert (job.state, job.dead_letter) == (JobState.CANCELLED, None)
