"""Dramatiq's composition: what runs when another job has ended."""

from typing import Any

import pytest
from dramatiq import pipeline

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from jobs.states import JobState
from tests.fundamentals.stage import StartWorker
from tests.middleware.steps import job_of


def test_a_pipeline_hands_each_result_to_the_next_job(jobs: FakeJobs) -> None:
    @actor
    def add(x: int, y: int) -> int:
        return x + y

    pipe = (add.message(1, 2) | add.message(10) | add.message(100)).run()
    assert jobs.run_all() == 3
    assert pipe.get_result() == 113


def test_a_pipeline_runs_on_a_real_worker_and_can_be_waited_for(
    real_app: App, running_worker: StartWorker
) -> None:
    @actor
    def add(x: int, y: int) -> int:
        return x + y

    @actor
    def double(x: int) -> int:
        return 2 * x

    running_worker()
    pipe = (add.message(1, 2) | double.message()).run(delay=300)
    # The last job is not there yet, which is no reason to give it up.
    assert pipe.get_result(block=True, timeout=40_000) == 6


def test_what_ignores_results_is_called_without(jobs: FakeJobs) -> None:
    @actor
    def first() -> int:
        return 7

    @actor
    def second() -> str:
        return "done"

    pipe = pipeline([first.message(), second.message_with_options(pipe_ignore=True)]).run()
    jobs.run_all()
    assert pipe.get_result() == "done"


@pytest.mark.parametrize("outcome", [{"success": False, "error": "declined"}, ValueError("broken")])
def test_after_a_failure_nothing_more_of_a_pipeline_runs(jobs: FakeJobs, outcome: Any) -> None:
    @actor(attempts=1)
    def first() -> Any:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    @actor
    def second(result: Any) -> None: ...

    pipe = (first.message() | second.message()).run()
    assert jobs.run_all() == 1
    assert job_of(jobs, pipe.messages[0]).state is JobState.FAILED
    assert jobs.store.get(pipe.messages[1].message_id) is None


def test_success_and_failure_have_their_callbacks(jobs: FakeJobs) -> None:
    heard: list[tuple[str, object]] = []

    @actor
    def succeeded(message: dict[str, Any], result: int) -> None:
        heard.append((message["actor_name"], result))

    @actor
    def failed(message: dict[str, Any], error: dict[str, str]) -> None:
        heard.append((message["actor_name"], error["type"]))

    @actor(on_success="succeeded", on_failure="failed", attempts=1)
    def divide(x: int, y: int) -> int:
        return x // y

    @actor
    def declined() -> dict[str, object]:
        return {"success": False, "error": "declined"}

    divide.send(6, 3)
    divide.send(6, 0)
    declined.send_with_options(on_success=succeeded, on_failure=failed)
    jobs.run_all()
    assert sorted(heard, key=str) == [
        ("declined", "PermanentError"),
        ("divide", "ZeroDivisionError"),
        ("divide", 2),
    ]


def test_callbacks_run_on_a_real_worker(real_app: App, running_worker: StartWorker) -> None:
    @actor
    def succeeded(message: dict[str, Any], result: int) -> int:
        return result

    @actor(on_success="succeeded")
    def add(x: int, y: int) -> int:
        return x + y

    running_worker()
    add.send(1, 2)
    real_app.broker.join("add", timeout=40_000)
    real_app.broker.join("succeeded", timeout=40_000)
    (job,) = real_app.store.list_jobs("succeeded", JobState.COMPLETED)
    assert job.record == b'{"result":3}'
