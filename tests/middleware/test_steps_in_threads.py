"""Steps beside the actor's own thread: on the event loop, and in threads that the actor starts."""

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from jobs.errors import LeaseLost, StepError
from jobs.states import JobState
from middleware.steps import effect, step
from tests.broker.workers import state_of
from tests.middleware.steps import error_of, job_of
from tests.waiting import eventually

AT_ONCE = {"delay": 0}


@pytest.mark.parametrize("kind", ["step", "effect"])
def test_a_plain_function_on_the_event_loop_is_refused_because_it_would_hold_up_all_its_jobs(
    jobs: FakeJobs, kind: str
) -> None:
    done = list[str]()

    @actor
    async def order() -> None:
        if kind == "step":
            step("charge", done.append, "done")
        else:
            effect("charge", "done", done.append, lambda intent: None)

    message = order.send()
    jobs.run_all()
    error = error_of(jobs, message)
    assert (error["type"], job_of(jobs, message).attempts, done) == ("StepError", 1, [])
    assert f"await asyncio.to_thread({kind}, …)" in error["message"]
    assert jobs.store.steps(message.message_id) == {}


def test_a_coroutine_may_have_plain_functions_as_steps_in_a_thread(jobs: FakeJobs) -> None:
    done, fails = list[str](), [ConnectionError()]

    def nothing(intent: str) -> None:
        return None

    @actor(backoff=AT_ONCE)
    async def order() -> None:
        await asyncio.to_thread(step, "reserve", done.append, "reserved")
        await asyncio.to_thread(effect, "charge", "charged", done.append, nothing)
        if fails:
            raise fails.pop()

    message = order.send()
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.COMPLETED
    assert done == ["reserved", "charged"], "the second run got both from the store"


def test_outside_of_jobs_a_plain_function_may_be_a_step_on_the_loop() -> None:
    async def script() -> int:
        return step("one", lambda: 1)

    assert asyncio.run(script()) == 1


@pytest.mark.parametrize("kind", ["step", "effect"])
def test_a_thread_that_does_not_know_its_job_is_refused(jobs: FakeJobs, kind: str) -> None:
    """A plain call would charge once for each attempt."""
    done = list[str]()

    def charge(intent: Any = None) -> bool:
        done.append("charged")
        return True

    @actor(backoff=AT_ONCE)
    def order() -> None:
        with ThreadPoolExecutor(1) as pool:
            if kind == "step":
                pool.submit(step, "charge", charge).result()
            else:
                pool.submit(effect, "charge", {"key": 1}, charge, lambda intent: True).result()
        raise ConnectionError

    message = order.send()
    jobs.run_all()
    error = error_of(jobs, message)
    assert (error["type"], job_of(jobs, message).attempts, done) == ("StepError", 1, [])
    assert "contextvars.copy_context().run" in error["message"]
    assert effect("charge", None, charge, lambda intent: None), "no job runs: it is a plain call again"


def test_in_a_process_with_a_worker_no_thread_has_an_effect_without_a_job(
    real_app: App, running_worker: Any
) -> None:
    """Also when its job has just ended, and none runs."""
    over, done, refused = threading.Event(), list[str](), list[BaseException]()

    def left_behind() -> None:
        over.wait(20)
        try:
            effect("charge", "charged", done.append, lambda intent: None)
        except StepError as error:
            refused.append(error)

    threads = list[threading.Thread]()

    @actor
    def order() -> None:
        threads.append(threading.Thread(target=left_behind, daemon=True))
        threads[0].start()

    worker = running_worker()
    message = order.send()
    eventually(lambda: state_of(real_app.store, message.message_id) is JobState.COMPLETED)
    over.set()
    threads[0].join(20)
    assert (len(refused), done) == (1, [])
    worker.stop(timeout=10_000)
    assert effect("charge", None, lambda intent: "called", lambda intent: None) == "called"


def test_a_thread_with_the_context_of_its_job_has_steps(jobs: FakeJobs) -> None:
    done, fails = list[int](), [ConnectionError()]

    def fetch(page: int) -> int:
        done.append(page)
        return page

    @actor(backoff=AT_ONCE)
    def order() -> list[int]:
        with ThreadPoolExecutor(3) as pool:
            calls = [
                pool.submit(contextvars.copy_context().run, step, f"page {page}", fetch, page)
                for page in range(3)
            ]
        if fails:
            raise fails.pop()
        return [call.result() for call in calls]

    message = order.send()
    jobs.run_all()
    assert job_of(jobs, message).record == b'{"result":[0,1,2]}'
    assert sorted(done) == [0, 1, 2]


def test_an_attempt_ends_when_the_steps_in_its_threads_have(jobs: FakeJobs) -> None:
    begun, fails, done = threading.Event(), [ConnectionError()], list[str]()
    threads = list[threading.Thread]()

    def slow() -> str:
        begun.set()
        threading.Event().wait(0.2)
        done.append("slow")
        return "slow"

    @actor(backoff=AT_ONCE)
    def order() -> str:
        if not fails:
            return step("slow", slow)
        run = contextvars.copy_context().run
        threads.append(threading.Thread(target=run, args=(step, "slow", slow), daemon=True))
        threads[0].start()
        begun.wait(20)
        raise fails.pop()

    message = order.send()
    jobs.run_all()
    threads[0].join(20)
    assert job_of(jobs, message).record == b'{"result":"slow"}'
    assert done == ["slow"], "the retry found the outcome of the thread that was left behind"


@pytest.mark.parametrize("first", [False, True])
def test_a_step_in_a_thread_does_not_begin_after_its_attempt(jobs: FakeJobs, first: bool) -> None:
    over, ended, done = threading.Event(), list[BaseException](), list[str]()
    threads = list[threading.Thread]()

    def late() -> None:
        over.wait(20)
        try:
            step("charge", done.append, "charged")
        except LeaseLost as error:
            ended.append(error)

    @actor
    def order() -> None:
        if not first:
            step("reserve", lambda: 1)
        threads.append(threading.Thread(target=contextvars.copy_context().run, args=(late,), daemon=True))
        threads[0].start()

    order.send()
    jobs.run_all()
    over.set()
    threads[0].join(20)
    assert (len(ended), done) == (1, [])
