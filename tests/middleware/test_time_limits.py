"""An attempt has a time limit: the call's, the actor's, or the queue's."""

import asyncio
import threading

import pytest

from actors.composition import App
from actors.declare import actor
from jobs.states import JobState
from middleware.time_limits import Watch
from tests.fundamentals.stage import StartWorker
from tests.waiting import eventually


def test_the_queues_policy_is_the_limit_of_an_actor_that_names_none(app: App) -> None:
    @actor
    def pdf_generate(template: str) -> None: ...

    @actor
    def of_mine() -> None: ...

    @actor(time_limit=1_500)
    def quick() -> None: ...

    limits = {name: made.options["time_limit"] for name, made in app.broker.actors.items()}
    assert limits == {"pdf_generate": 60_000, "of_mine": 300_000, "quick": 1_500}


def test_an_attempt_that_takes_longer_is_ended_and_counts_as_a_failure(
    real_app: App, running_worker: StartWorker
) -> None:
    never = threading.Event()

    @actor(attempts=1)
    def endless() -> None:
        while not never.wait(0.01):
            pass

    running_worker()
    message = endless.send_with_options(time_limit=50)

    def failed() -> bool:
        job = real_app.store.get(message.message_id)
        return (
            job is not None and job.state is JobState.FAILED and b"TimeLimitExceeded" in (job.record or b"")
        )

    eventually(failed)


def test_a_coroutine_that_takes_longer_cleans_up_and_is_ended_too(
    real_app: App, running_worker: StartWorker
) -> None:
    cleaned_up = threading.Event()

    @actor(attempts=1)
    async def endless() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            cleaned_up.set()

    running_worker()
    message = endless.send_with_options(time_limit=50)

    def failed() -> bool:
        job = real_app.store.get(message.message_id)
        return (
            job is not None and job.state is JobState.FAILED and b"TimeLimitExceeded" in (job.record or b"")
        )

    eventually(failed)
    assert cleaned_up.is_set()


def test_the_next_job_of_the_thread_has_its_own_time(real_app: App, running_worker: StartWorker) -> None:
    never, done = threading.Event(), threading.Event()

    @actor(attempts=1)
    def endless() -> None:
        while not never.wait(0.01):
            pass

    @actor
    def patient() -> None:
        if not never.wait(1.0):
            done.set()

    running_worker()
    for _ in range(8):  # two for each thread
        endless.send_with_options(time_limit=50)
    last = patient.send_with_options(time_limit=60_000)

    def completed() -> bool:
        job = real_app.store.get(last.message_id)
        return job is not None and job.state is JobState.COMPLETED

    eventually(completed)
    assert done.is_set()


def test_a_job_that_outlives_its_worker_still_has_its_time_limit(
    real_app: App, running_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program with a Worker of its own goes on after a stop, and so does a job that takes its time."""
    never, begun, stopped = threading.Event(), threading.Event(), threading.Event()
    look, looks = Watch._look, list[float]()

    def late(watch: Watch, now: float) -> None:
        """Its time is over when the Worker has stopped for a while, however long that takes."""
        if stopped.is_set():
            looks.append(now)
        if len(looks) > 2:
            look(watch, now)

    monkeypatch.setattr(Watch, "_look", late)

    @actor(attempts=1)
    def endless() -> None:
        begun.set()
        while not never.wait(0.01):
            pass

    worker = running_worker()
    message = endless.send_with_options(time_limit=100)
    assert begun.wait(20)
    worker.stop(timeout=100)
    job = real_app.store.get(message.message_id)
    assert job is not None
    assert job.state is JobState.ACTIVE, "Dramatiq has given its thread up"
    stopped.set()

    def failed() -> bool:
        job = real_app.store.get(message.message_id)
        return (
            job is not None and job.state is JobState.FAILED and b"TimeLimitExceeded" in (job.record or b"")
        )

    eventually(failed)
    eventually(lambda: not any(thread.name == "callboard-time-limits" for thread in threading.enumerate()))
