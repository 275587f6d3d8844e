"""Actors that are `async def` have a loop for as long as one of them runs, whatever becomes of its Worker."""

import asyncio
import threading

import dramatiq
import pytest
from dramatiq.asyncio import EventLoopThread, get_event_loop_thread

from actors.composition import App
from actors.declare import actor
from jobs.states import JobState
from tests.broker.workers import state_of
from tests.fundamentals.stage import StartWorker, make_app
from tests.waiting import eventually


def loops() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if isinstance(thread, EventLoopThread)]


def test_two_workers_of_one_process_leave_no_loop_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that nobody ends would keep the process from ending."""
    stacks = [make_app(monkeypatch).broker.middleware for _ in range(2)]
    loops_of = [next(one for one in stack if type(one).__name__ == "EventLoop") for stack in stacks]
    worker = dramatiq.Worker.__new__(dramatiq.Worker)
    before = loops()
    for loop in loops_of:
        loop.before_worker_boot(dramatiq.get_broker(), worker)
    assert len(loops()) == len(before) + 2
    loops_of[0].after_worker_shutdown(dramatiq.get_broker(), worker)
    left = get_event_loop_thread()
    assert left is not None
    assert left.is_alive(), "the other Worker's coroutines go on"
    loops_of[1].after_worker_shutdown(dramatiq.get_broker(), worker)
    assert (loops(), get_event_loop_thread()) == (before, None)


def test_a_coroutine_that_outlives_its_worker_ends_and_is_settled(
    real_app: App, running_worker: StartWorker
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    @actor
    async def slow() -> str:
        begun.set()
        while not go_on.is_set():
            await asyncio.sleep(0.01)
        return "done"

    worker = running_worker()
    message = slow.send()
    assert begun.wait(20)
    worker.stop(timeout=100)
    assert state_of(real_app.store, message.message_id) is JobState.ACTIVE
    go_on.set()
    eventually(lambda: state_of(real_app.store, message.message_id) is JobState.COMPLETED)
    eventually(lambda: not loops())
