"""What a hook raises that is no Exception (SystemExit, a late interrupt) undoes no job and ends no thread."""

import threading
from functools import partial
from typing import Any

import dramatiq
import pytest
from dramatiq.middleware import Shutdown, TimeLimitExceeded

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from jobs.errors import JobCancelled
from jobs.states import JobState
from middleware.current import running
from tests.broker.workers import state_of
from tests.fundamentals.stage import StartWorker
from tests.middleware.steps import job_of
from tests.waiting import eventually

RAISED = [
    SystemExit(3),
    GeneratorExit(),
    TimeLimitExceeded(),
    Shutdown(),
    JobCancelled("no"),
    KeyboardInterrupt(),
]


def is_done(app: App, job_id: str) -> bool:
    return state_of(app.store, job_id) is JobState.COMPLETED


class Raising(dramatiq.Middleware):
    def __init__(self, error: BaseException) -> None:
        self._error = error

    def after_process_message(self, broker: dramatiq.Broker, message: Any, **_: Any) -> None:
        if message.actor_name == "unlucky":
            raise self._error


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_a_job_that_was_done_stays_done_and_its_thread_goes_on(
    real_app: App, running_worker: StartWorker, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    real_app.broker.add_middleware(Raising(error))
    runs = list[str]()

    @actor(attempts=2)
    def unlucky() -> int:
        runs.append("ran")
        return 1

    worker = running_worker()
    messages = [unlucky.send() for _ in range(6)]
    for message in messages:
        eventually(partial(is_done, real_app, message.message_id), timeout=20)
    assert len(runs) == 6
    assert all(thread.is_alive() for thread in worker.workers)
    eventually(lambda: f"after_process_message of Raising failed: {type(error).__name__}" in caplog.text)


def test_what_follows_is_not_lost_by_it(app: App, jobs: FakeJobs) -> None:
    """A callback that cannot be sent holds its job, as it does where an Exception was raised."""

    class Refusing(dramatiq.Middleware):
        def before_enqueue(self, broker: dramatiq.Broker, message: Any, delay: int | None) -> None:
            if message.actor_name == "told" and threading.current_thread() is threading.main_thread():
                raise SystemExit(3)

    app.broker.add_middleware(Refusing())

    @actor
    def told(message: dict[str, Any], result: Any) -> None: ...

    @actor(on_success="told", attempts=3)
    def order() -> int:
        return 1

    message = order.send()
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.DELAYED, "it is tried again"


def test_ctrl_c_still_ends_a_test_that_runs_jobs(app: App, jobs: FakeJobs) -> None:
    app.broker.add_middleware(Raising(KeyboardInterrupt()))

    @actor
    def unlucky() -> None: ...

    unlucky.send()
    with pytest.raises(KeyboardInterrupt):
        jobs.run_all()
    assert running.get() is None
