"""An interruption reaches the actor's function or nothing: never a hook, never the next job."""

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator

import dramatiq
import dramatiq.asyncio
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import TimeLimitExceeded
from dramatiq.threading import raise_thread_exception

from broker.proxy import JobProxy
from broker.worker.interrupts import begin, guard, interrupt
from jobs.errors import JobCancelled
from tests.broker.hands import a_proxy
from tests.waiting import eventually


def guarded(function: Callable[..., object]) -> "dramatiq.Actor[..., object]":
    actor: dramatiq.Actor[..., object] = dramatiq.actor(function, broker=StubBroker(middleware=[]))
    guard(actor)
    return actor


class InThread(threading.Thread):
    """Runs an actor for a job, as a worker thread does; `end` is what came of it."""

    def __init__(self, job: JobProxy, actor: "dramatiq.Actor[..., object]") -> None:
        super().__init__(daemon=True)
        self.end: object = None
        self._job, self._actor = job, actor
        self.start()

    def run(self) -> None:
        begin(self._job)
        try:
            self.end = self._actor()
        except BaseException as error:
            self.end = error


def test_an_exception_is_raised_in_the_function_that_runs() -> None:
    def endless() -> None:
        while True:
            time.sleep(0.001)

    job = a_proxy("one")
    run = InThread(job, guarded(endless))
    eventually(lambda: job.thread)
    interrupt(job, TimeLimitExceeded)
    run.join(20)
    assert isinstance(run.end, TimeLimitExceeded)


def test_a_job_that_was_interrupted_before_its_function_began_does_not_begin() -> None:
    ran = list[int]()
    job = a_proxy("one")
    interrupt(job, JobCancelled)
    run = InThread(job, guarded(lambda: ran.append(1)))
    run.join(20)
    assert isinstance(run.end, JobCancelled)
    assert ran == []


def test_one_that_has_ended_is_left_alone() -> None:
    job = a_proxy("one")
    actor = guarded(lambda: "done")
    begin(job)
    assert actor() == "done"
    interrupt(job, JobCancelled)
    assert actor() == "done", "the thread has nothing to do with that job any more"


def test_an_actor_that_calls_another_one_is_one_run() -> None:
    inner = guarded(lambda: "inner")

    def outer() -> None:
        inner()
        while True:
            time.sleep(0.001)

    job = a_proxy("one")
    run = InThread(job, guarded(outer))
    eventually(lambda: job.thread)
    interrupt(job, JobCancelled)
    run.join(20)
    assert isinstance(run.end, JobCancelled)


def test_a_plain_call_is_a_plain_call() -> None:
    def add(x: int, y: int = 1) -> int:
        return x + y

    actor = guarded(add)
    assert (actor(1), actor(1, y=5), actor.fn.__name__) == (2, 6, "add")


def test_one_that_is_sent_as_the_function_ends_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender has seen the thread in the function; when it raises, the function has ended."""
    job, on_its_way, raised = a_proxy("one"), threading.Event(), threading.Event()
    after = list[str]()

    def late(thread: int, kind: type[BaseException]) -> None:
        on_its_way.set()
        eventually(lambda: not job.thread, every=0.001)
        raise_thread_exception(thread, kind)

    class Worker(InThread):
        def run(self) -> None:
            super().run()
            try:
                while not raised.wait(0.001):  # what follows a run
                    pass
                after.append("unhurt")
            except JobCancelled:
                after.append("hurt")

    monkeypatch.setattr("broker.worker.interrupts.raise_thread_exception", late)
    run = Worker(job, guarded(lambda: on_its_way.wait(20)))
    eventually(lambda: job.thread)
    interrupt(job, JobCancelled)
    raised.set()
    run.join(20)
    assert (run.end, after) == (True, ["unhurt"])


#: Runs of each end, so that the test says something.
ENOUGH = 5


@pytest.fixture
def fast_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_one_that_comes_at_the_last_moment_never_gets_out_of_its_run(fast_switches: None) -> None:
    """Thousands of runs of a few microseconds, each interrupted at about its end."""
    actor = guarded(lambda: sum(range(30)))
    now: list[JobProxy | None] = [None]
    over = threading.Event()
    ends = {"cancelled": 0, "done": 0}
    stray = list[BaseException]()

    def hooks() -> int:
        return sum(int(str(n)) for n in range(20))

    def work() -> None:
        began = time.monotonic()
        while (took := time.monotonic() - began) < 3.0 or (took < 30.0 and min(ends.values()) <= ENOUGH):
            try:
                job = now[0] = a_proxy("one")
                begin(job)
                try:
                    actor.fn()
                    ends["done"] += 1
                except JobCancelled:
                    ends["cancelled"] += 1
                hooks()
                now[0] = None
                hooks()
            except JobCancelled as error:
                stray.append(error)
        over.set()

    worker = threading.Thread(target=work)
    worker.start()
    while not over.is_set():
        job = now[0]
        if job is not None and job.interrupted is None:
            interrupt(job, JobCancelled)
    worker.join()
    assert stray == []
    assert min(ends.values()) > ENOUGH, ends


class TestCoroutines:
    @pytest.fixture(autouse=True)
    def loop(self) -> Iterator[None]:
        from dramatiq.logging import get_logger

        thread = dramatiq.asyncio.EventLoopThread(get_logger(__name__))
        thread.start(timeout=20)
        dramatiq.asyncio.set_event_loop_thread(thread)
        yield
        dramatiq.asyncio.set_event_loop_thread(None)
        thread.stop()  # type: ignore[no-untyped-call]
        thread.join()

    def test_its_task_is_cancelled_and_cleans_up_before_the_run_ends(self) -> None:
        cleaned = list[str]()

        async def endless() -> None:
            try:
                await asyncio.sleep(600)
            finally:
                await asyncio.sleep(0.05)
                cleaned.append("up")

        job = a_proxy("one")
        run = InThread(job, guarded(endless))
        eventually(lambda: job.stop_coroutine)
        interrupt(job, JobCancelled)
        run.join(20)
        assert isinstance(run.end, JobCancelled)
        assert cleaned == ["up"]

    def test_one_that_was_interrupted_before_it_began_ends_at_its_first_wait(self) -> None:
        went_on = list[int]()

        async def long() -> None:
            await asyncio.sleep(0)
            went_on.append(1)

        job = a_proxy("one")
        interrupt(job, TimeLimitExceeded)
        run = InThread(job, guarded(long))
        run.join(20)
        assert isinstance(run.end, TimeLimitExceeded)
        assert went_on == []

    def test_a_coroutine_that_cancels_itself_was_not_interrupted(self) -> None:
        async def gives_up() -> None:
            raise asyncio.CancelledError

        run = InThread(a_proxy("one"), guarded(gives_up))
        run.join(20)
        assert type(run.end).__name__ == "CancelledError"

    def test_the_loops_thread_is_never_interrupted(self) -> None:
        """A plain actor that a coroutine calls runs on the thread that all coroutines share."""
        inner = guarded(lambda: None)

        async def outer() -> None:
            inner()
            await asyncio.sleep(600)

        job = a_proxy("one")
        run = InThread(job, guarded(outer))
        eventually(lambda: job.stop_coroutine)
        assert job.thread < 0
        interrupt(job, JobCancelled)
        run.join(20)
        assert isinstance(run.end, JobCancelled)
