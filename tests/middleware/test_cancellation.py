"""A cancelled job: where it may end, what it clears away, and what is written down of it."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from broker.worker import clean_up
from jobs.errors import JobCancelled
from jobs.states import JobState
from middleware.cancellation import cancelled, check_cancelled, on_cancel
from middleware.current import running
from middleware.steps import step
from tests.broker.workers import state_of
from tests.fundamentals.stage import StartWorker
from tests.middleware.steps import error_of, job_of
from tests.waiting import eventually

REASON = "the customer/withdrew it"


class Scene:
    """One job that runs until it is cancelled, and what it noted."""

    def __init__(self, app: App) -> None:
        self.began = threading.Event()
        self.noted: list[str] = []
        self._app = app

    def play(self, message: Any) -> str:
        """Cancel the job once it has begun, and wait for its end; its id."""
        job_id = str(message.message_id)
        assert self.began.wait(20)
        self._app.store.cancel([job_id], REASON)
        eventually(lambda: (state := state_of(self._app.store, job_id)) and state.settled)
        return job_id


@pytest.fixture
def scene(real_app: App) -> Scene:
    return Scene(real_app)


def rows(app: App, job_id: str) -> Sequence[Any]:
    with app.engine().connect() as reading:
        return reading.exec_driver_sql(
            "SELECT outcome, reason, error_type FROM job_executions WHERE job_id = ?", (job_id,)
        ).all()


def test_a_cancelled_job_cleans_up_and_its_reason_is_written_down(
    real_app: App, running_worker: StartWorker, scene: Scene
) -> None:
    @actor(attempts=1)
    def long() -> None:
        on_cancel(lambda: scene.noted.append("first handler"))

        @on_cancel
        def second() -> None:
            scene.noted.append("second handler")
            raise OSError("it fails, and the others run")

        scene.began.set()
        try:
            while True:
                time.sleep(0.01)
        finally:
            scene.noted.append("finally")

    running_worker()
    job_id = scene.play(long.send())
    assert scene.noted == ["finally", "second handler", "first handler"]
    job = real_app.store.get(job_id)
    assert job is not None
    assert (job.state, job.cancel_reason) == (JobState.CANCELLED, REASON)
    assert orjson.loads(job.record or b"") == {"error": {"type": "Cancelled", "message": REASON}}
    ((outcome, reason, _),) = eventually(lambda: rows(real_app, job_id))
    assert (outcome, reason) == ("cancelled", REASON)


def test_a_coroutine_cleans_up_with_coroutines(
    real_app: App, running_worker: StartWorker, scene: Scene
) -> None:
    @actor
    async def long() -> None:
        @on_cancel
        async def handler() -> None:
            await asyncio.sleep(0.01)
            scene.noted.append("handler")

        on_cancel(lambda: scene.noted.append("plain handler"))
        scene.began.set()
        try:
            await asyncio.sleep(600)
        finally:
            await asyncio.sleep(0.01)
            scene.noted.append("finally")

    running_worker()
    job_id = scene.play(long.send())
    assert scene.noted == ["finally", "plain handler", "handler"]
    assert state_of(real_app.store, job_id) is JobState.CANCELLED
    ((outcome, reason, _),) = eventually(lambda: rows(real_app, job_id))
    assert (outcome, reason) == ("cancelled", REASON)


def _goes_on_after_an_exception(scene: Scene) -> None:
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            scene.noted.append("swallowed")


def _fails_at_it(scene: Scene) -> None:
    try:
        _goes_on_after_an_exception(scene)
    finally:
        raise ConnectionError("closing failed too")


@pytest.mark.parametrize("body", [_goes_on_after_an_exception, _fails_at_it])
def test_whatever_an_actor_makes_of_it_the_job_is_cancelled(
    real_app: App, running_worker: StartWorker, scene: Scene, body: Callable[[Scene], None]
) -> None:
    @actor(attempts=1)
    def long() -> None:
        scene.began.set()
        body(scene)

    running_worker()
    job_id = scene.play(long.send())
    assert state_of(real_app.store, job_id) is JobState.CANCELLED
    assert scene.noted == [], "`except Exception` takes a cancellation for no error"


def test_an_actor_that_swallows_it_is_told_again_after_its_time_to_clean_up(
    real_app: App, running_worker: StartWorker, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clean_up, "CLEAN_UP_S", 0.3)

    @actor
    def long() -> None:
        scene.began.set()
        while len(scene.noted) < 2:
            try:
                time.sleep(0.01)
            except JobCancelled:
                scene.noted.append("swallowed")
        time.sleep(0.01)
        check_cancelled()

    running_worker()
    job_id = scene.play(long.send())
    assert scene.noted == ["swallowed", "swallowed"]
    assert state_of(real_app.store, job_id) is JobState.CANCELLED


def test_a_clean_up_is_let_finish_though_the_wish_is_repeated(
    real_app: App, running_worker: StartWorker, scene: Scene
) -> None:
    cleaning = threading.Event()

    @actor
    def long() -> None:
        scene.began.set()
        try:
            while True:
                time.sleep(0.01)
        finally:
            cleaning.set()
            until = time.monotonic() + 0.6
            while time.monotonic() < until:
                time.sleep(0.01)
            scene.noted.append("clean")

    running_worker()
    message = long.send()
    assert scene.began.wait(20)
    real_app.store.cancel([message.message_id], REASON)
    assert cleaning.wait(20)
    for _ in range(3):
        real_app.store.cancel([message.message_id], "impatient")
    eventually(lambda: state_of(real_app.store, message.message_id) is JobState.CANCELLED)
    assert scene.noted == ["clean"]


def test_a_clean_up_without_end_is_ended(
    real_app: App, running_worker: StartWorker, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clean_up, "CLEAN_UP_S", 0.3)

    @actor
    def long() -> None:
        @on_cancel
        def endless() -> None:
            while True:
                time.sleep(0.01)

        scene.began.set()
        while True:
            time.sleep(0.01)

    running_worker()
    job_id = scene.play(long.send())
    assert state_of(real_app.store, job_id) is JobState.CANCELLED


def test_a_job_that_completes_all_the_same_is_completed(
    real_app: App, running_worker: StartWorker, scene: Scene
) -> None:
    """It has done its work, and the truth is kept; that it was to be cancelled is kept too."""

    @actor
    def long() -> str:
        scene.began.set()
        while True:
            try:
                time.sleep(0.01)
            except JobCancelled:
                return "done"

    running_worker()
    job_id = scene.play(long.send())
    job = real_app.store.get(job_id)
    assert job is not None
    assert (job.state, job.cancel_requested, job.cancel_reason) == (JobState.COMPLETED, True, REASON)


def test_a_job_that_is_cancelled_in_a_step_keeps_those_before(
    real_app: App, running_worker: StartWorker, scene: Scene
) -> None:
    runs = list[str]()

    def slow() -> str:
        scene.began.set()
        while runs.count("second run") == 0:
            time.sleep(0.01)
        return "done"

    @actor
    def long() -> str:
        step("quick", lambda: scene.noted.append("quick"))
        return step("slow", slow)

    running_worker()
    job_id = scene.play(long.send())
    assert list(real_app.store.steps(job_id)) == ["quick"]
    runs.append("second run")
    assert real_app.store.retry_dead([job_id]) == [True]
    eventually(lambda: state_of(real_app.store, job_id) is JobState.COMPLETED)
    assert scene.noted == ["quick"]


def test_the_flag_is_there_to_be_looked_at(real_app: App, running_worker: StartWorker, scene: Scene) -> None:
    @actor
    async def looks() -> None:
        assert not cancelled()
        check_cancelled()
        scene.began.set()
        try:
            await asyncio.sleep(600)
        finally:
            scene.noted.append(f"{cancelled()}")

    running_worker()
    scene.play(looks.send())
    assert scene.noted == ["True"]


def test_a_job_that_gives_itself_up_is_cancelled_with_its_own_words(jobs: FakeJobs) -> None:
    @actor
    def gives_up() -> None:
        raise JobCancelled("there is nothing to do")

    message = gives_up.send()
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.CANCELLED
    assert error_of(jobs, message) == {"type": "Cancelled", "message": "there is nothing to do"}


def test_handlers_are_for_cancellations_alone(jobs: FakeJobs) -> None:
    called = list[int]()

    @actor(attempts=1)
    def fails() -> None:
        on_cancel(lambda: called.append(1))
        raise ValueError

    @actor
    def completes() -> None:
        on_cancel(lambda: called.append(1))

    fails.send()
    completes.send()
    jobs.run_all()
    assert called == []


def test_outside_a_job_nobody_is_cancelled() -> None:
    assert running.get() is None
    assert not cancelled()
    check_cancelled()
    assert on_cancel(print) is print
