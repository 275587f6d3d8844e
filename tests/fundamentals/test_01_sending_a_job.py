"""1. A job type is a function under `@actor`. `send()` puts a job into its queue; a worker runs it.

These tests run on a real server and with Dramatiq's own worker, in this process. Most chapters after
this one need neither: see chapter 8.
"""

import pytest
from dramatiq.results import ResultFailure

from actors.composition import App
from actors.declare import actor
from jobs.states import JobState
from tests.fundamentals.stage import StartWorker


def test_a_job_is_sent_run_and_its_result_read(running_worker: StartWorker) -> None:
    @actor
    def add(x: int, y: int) -> int:
        return x + y

    running_worker()
    message = add.send(20, y=22)

    assert message.get_result(block=True) == 42


def test_the_functions_name_gives_the_queue(app: App) -> None:
    @actor
    def rent_reminder(tenancy: str) -> None: ...

    @actor(queue="letters")
    def dunning_letter(tenancy: str) -> None: ...

    assert rent_reminder.queue_name == "rent-reminder"
    assert dunning_letter.queue_name == "letters"
    assert app.broker.get_declared_queues() == {"rent-reminder", "letters"}


def test_a_job_that_was_sent_before_any_worker_ran_waits_for_one(
    real_app: App, running_worker: StartWorker
) -> None:
    @actor
    def greet(name: str) -> str:
        return f"Hello, {name}"

    message = greet.send("Ada")
    job = real_app.store.get(message.message_id)
    assert job is not None
    assert job.state is JobState.WAITING

    running_worker()
    assert message.get_result(block=True) == "Hello, Ada"


def test_the_result_of_a_failed_job_is_its_failure(running_worker: StartWorker) -> None:
    @actor(attempts=1)
    def divide(x: int, y: int) -> float:
        return x / y

    running_worker()
    with pytest.raises(ResultFailure, match="division by zero"):
        divide.send(1, 0).get_result(block=True)


def test_an_async_function_is_an_actor_like_any_other(running_worker: StartWorker) -> None:
    @actor
    async def double(x: int) -> int:
        return 2 * x

    running_worker()
    assert double.send(21).get_result(block=True) == 42


def test_many_jobs_are_sent_in_one_go(real_app: App, running_worker: StartWorker) -> None:
    seen = []

    @actor
    def count(number: int) -> None:
        seen.append(number)

    sent = real_app.broker.enqueue_many(count.message(number) for number in range(300))
    assert len({message.message_id for message in sent}) == 300

    running_worker()
    real_app.broker.join("count", timeout=40_000)
    assert sorted(seen) == list(range(300))
