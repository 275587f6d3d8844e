"""`with limit(…)` in threads and tasks that go on when their actor has ended: the run ends after them.

Permits end with the delivery, so another job would otherwise come in beside them.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dramatiq
import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from jobs.errors import HoldJob, LeaseLost
from jobs.states import JobState
from middleware.limits import limit
from tests.broker.workers import state_of
from tests.fundamentals.stage import StartWorker
from tests.middleware.steps import job_of
from tests.waiting import eventually

ONE = "gmail:acct-7"


@pytest.fixture
def policies() -> dict[str, Any]:
    return {"limits": {"gmail": {"by": "resource", "algorithm": "concurrency", "limit": 1}}}


class Inside:
    """What is inside of the limit at the moment, and the most that ever was."""

    def __init__(self) -> None:
        self.most = self._now = 0
        self._lock = threading.Lock()
        self.entered = threading.Event()

    def __enter__(self) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        self.entered.set()

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._now -= 1


@pytest.fixture
def inside() -> Inside:
    return Inside()


def in_a_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("kind", ["a thread", "a gather", "a thread under its own gate"])
def test_a_limit_holds_beside_a_thread_that_its_actor_has_left(
    real_app: App, running_worker: StartWorker, inside: Inside, kind: str
) -> None:
    left = list[str]()

    def work() -> None:
        with limit(ONE), inside:
            threading.Event().wait(0.5)

    async def fail() -> None:
        await asyncio.to_thread(inside.entered.wait, 20)
        raise ConnectionError

    @actor(attempts=1, gate=ONE if kind == "a thread under its own gate" else None)
    def leaving() -> None:
        if not left:
            left.append("once")
            in_a_thread(work)
            assert inside.entered.wait(20)
            raise HoldJob(60, "later")

    @actor(attempts=1)
    async def gathering() -> None:
        await asyncio.gather(asyncio.to_thread(work), fail())

    @actor
    def other() -> None:
        work()

    running_worker()
    (gathering if kind == "a gather" else leaving).send()
    assert inside.entered.wait(20)
    message = other.send()
    eventually(lambda: state_of(real_app.store, message.message_id) is JobState.COMPLETED, timeout=20)
    assert inside.most == 1


def test_a_task_that_is_left_inside_is_cancelled_by_the_time_limit(
    real_app: App, running_worker: StartWorker
) -> None:
    ended, tasks = list[str](), list[asyncio.Task[None]]()

    async def for_ever(begun: asyncio.Event) -> None:
        try:
            async with limit(ONE):
                begun.set()
                await asyncio.sleep(600)
        finally:
            ended.append("cancelled")

    @actor(time_limit=1_000)
    async def leaving() -> None:
        begun = asyncio.Event()
        tasks.append(asyncio.create_task(for_ever(begun)))
        await begun.wait()

    running_worker()
    message = leaving.send()
    eventually(lambda: state_of(real_app.store, message.message_id) is JobState.COMPLETED, timeout=20)
    assert ended == ["cancelled"]


@pytest.mark.parametrize("where", ["the actor", "a thread that has ended", "a thread of a pool", "the loop"])
def test_a_generator_that_is_kept_half_way_holds_up_no_run(jobs: FakeJobs, where: str) -> None:
    kept, pool = list[Any](), ThreadPoolExecutor(1)

    def rows() -> Iterator[int]:
        with limit(ONE):
            yield from range(3)

    def read() -> None:
        kept.append(rows())
        next(kept[0])

    async def rows_of_the_loop() -> Any:
        async with limit(ONE):
            yield 1

    @actor(attempts=1)
    def plain() -> None:
        match where:
            case "the actor":
                read()
            case "a thread that has ended":
                in_a_thread(read).join(20)
            case "a thread of a pool":
                pool.submit(contextvars.copy_context().run, read).result(20)

    @actor(attempts=1)
    async def on_the_loop() -> None:
        kept.append(rows_of_the_loop())
        await anext(kept[0])

    message = (on_the_loop if where == "the loop" else plain).send()
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.COMPLETED
    assert kept, "nobody has closed it"
    if where != "the loop":
        kept[0].close()
    pool.shutdown()


def test_blocks_within_one_another_are_left_one_by_one(
    real_app: App, running_worker: StartWorker, inside: Inside
) -> None:
    def work() -> None:
        with limit(ONE):
            with limit("gmail:another"):
                pass
            with inside:
                threading.Event().wait(0.5)

    @actor
    def leaving() -> None:
        in_a_thread(work)
        assert inside.entered.wait(20)

    @actor
    def other() -> None:
        with limit(ONE), inside:
            pass

    running_worker()
    leaving.send()
    assert inside.entered.wait(20)
    message = other.send()
    eventually(lambda: state_of(real_app.store, message.message_id) is JobState.COMPLETED, timeout=20)
    assert inside.most == 1


def test_nothing_is_taken_for_a_run_that_has_ended(jobs: FakeJobs) -> None:
    """Also where it is the first that this run asks for."""
    over, refused = threading.Event(), list[BaseException]()
    threads = list[threading.Thread]()

    def late() -> None:
        over.wait(20)
        try:
            with limit(ONE):
                pass
        except LeaseLost as error:
            refused.append(error)

    @actor
    def leaving() -> None:
        threads.append(in_a_thread(late))

    leaving.send()
    jobs.run_all()
    over.set()
    threads[0].join(20)
    assert "has ended" in str(refused[0])


def test_a_middleware_may_be_inside_from_before_the_actor_until_after_it(app: App, jobs: FakeJobs) -> None:
    seen = list[int]()

    class Around(dramatiq.Middleware):
        def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
            message.permit = limit(ONE)
            message.permit.__enter__()

        def after_process_message(self, broker: Any, message: Any, **_: Any) -> None:
            (state,) = jobs.store.limit_states([app.limits.rules["gmail"]])
            seen.append(state.used)
            message.permit.__exit__(None, None, None)

    app.broker.add_middleware(Around())

    @actor(attempts=1)
    def quiet() -> None: ...

    message = quiet.send()
    jobs.run_all()
    assert (job_of(jobs, message).state, seen) == (JobState.COMPLETED, [1])
