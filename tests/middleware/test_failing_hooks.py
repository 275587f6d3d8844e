"""What happens when the hook of a place fails: for every place of the stack, every hook it has, and both
kinds of actors. Stock Dramatiq logs what a hook raises, and goes on."""

from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import dramatiq
import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from jobs.states import JobState
from middleware.current import current_job
from middleware.stack import STACK
from tests.fundamentals.stage import make_app
from tests.middleware.steps import error_of, job_of


def places_with(hook: str) -> list[str]:
    """The places of the default stack whose class has this hook."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        stack = make_app(monkeypatch).broker.middleware
    nothing = getattr(dramatiq.Middleware, hook)
    return [type(one).__name__ for one in stack[1:] if getattr(type(one), hook, nothing) is not nothing]


def break_hook(app: App, place: str, hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("the hook is broken")

    (one,) = [middleware for middleware in app.broker.middleware if type(middleware).__name__ == place]
    monkeypatch.setattr(type(one), hook, broken)
    app.broker._hooks.clear()


@pytest.fixture(params=["plain", "async"])
def declare(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Declares an actor that notes its runs, as a function or as a coroutine."""

    def declared(runs: list[int], fails: bool = False) -> Any:
        def run(number: int) -> int:
            runs.append(number)
            if fails:
                raise LookupError("first trouble")
            return number

        async def run_async(number: int) -> int:
            return run(number)

        return actor(queue="count", attempts=2)(run_async if request.param == "async" else run)

    return declared


def test_every_place_has_a_hook_that_is_tested_here() -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        names = {type(one).__name__ for one in make_app(monkeypatch).broker.middleware[1:]}
    hooks = ("before_enqueue", "before_process_message", "after_process_message")
    tested = {place for hook in hooks for place in places_with(hook)}
    # Those run no code on a job's way: an event loop, and what the API asks.
    assert names - tested <= {"EventLoop"}
    assert len(names) <= len(STACK)


@pytest.mark.parametrize("place", places_with("before_enqueue"))
def test_before_enqueue_sends_nothing(
    app: App, jobs: FakeJobs, declare: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    count = declare([])
    break_hook(app, place, "before_enqueue", monkeypatch)
    with pytest.raises(RuntimeError, match="the hook is broken"):
        count.send(1)
    with pytest.raises(RuntimeError, match="the hook is broken"):
        app.broker.enqueue_many([count.message(1), count.message(2)])
    assert jobs.queued() == []


@pytest.mark.parametrize("place", places_with("before_process_message"))
def test_before_process_message_does_not_run_the_actor_and_the_job_is_tried_again_and_then_dead(
    app: App, jobs: FakeJobs, declare: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    runs: list[int] = []
    message = declare(runs).send(1)
    break_hook(app, place, "before_process_message", monkeypatch)
    jobs.run_all()
    job = job_of(jobs, message)
    assert (job.state, job.attempts) == (JobState.DELAYED, 1)
    assert error_of(jobs, message)["message"] == "the hook is broken"

    jobs.advance(60)
    jobs.run_all()
    job = job_of(jobs, message)
    assert (job.state, job.attempts, job.dead_letter) == (JobState.FAILED, 2, "dead-letter")
    assert runs == []


@pytest.mark.parametrize("place", places_with("after_process_message"))
def test_after_process_message_does_not_undo_a_job_that_was_done(
    app: App, jobs: FakeJobs, declare: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    runs: list[int] = []
    message = declare(runs).send(1)
    break_hook(app, place, "after_process_message", monkeypatch)
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.COMPLETED
    assert message.get_result() == 1
    assert runs == [1]


@pytest.mark.parametrize("place", places_with("after_process_message"))
def test_after_process_message_does_not_lose_a_job_that_failed(
    app: App, jobs: FakeJobs, declare: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    runs: list[int] = []
    message = declare(runs, fails=True).send(1)
    break_hook(app, place, "after_process_message", monkeypatch)
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.DELAYED, "it is tried again"
    assert error_of(jobs, message)["message"] == "first trouble"

    jobs.advance(60)
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.FAILED, "and its attempts end"
    assert runs == [1, 1]


@pytest.mark.parametrize("place", places_with("after_process_message"))
def test_a_job_with_a_broken_hook_leaves_nothing_to_the_next_one_on_its_thread(
    app: App, jobs: FakeJobs, declare: Callable[..., Any], place: str
) -> None:
    runs: list[int] = []
    count = declare(runs)
    seen = []

    @actor
    def look() -> None:
        job = current_job()
        seen.append(job and job.tenant_id)
        count.send(2)

    def both() -> None:
        with pytest.MonkeyPatch.context() as monkeypatch:
            break_hook(app, place, "after_process_message", monkeypatch)
            count.send_with_options(args=(1,), tenant_id="acme")
            jobs.run_all()
        app.broker._hooks.clear()
        look.send_with_options(tenant_id="")
        jobs.run_all()

    copy_context().run(both)
    assert seen == [""]
    assert runs == [1, 2]
    done = jobs.store.list_jobs("count", JobState.COMPLETED, 10)
    assert sorted(job.lane for job in done) == ["", "acme"]
