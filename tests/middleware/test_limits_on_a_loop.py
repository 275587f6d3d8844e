"""`limit()` in coroutines and in threads of one job: the loop stands still for nobody, no permit is lost."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from actors.composition import App
from actors.declare import actor
from jobs.model import Job
from jobs.states import JobState
from middleware.limits import limit
from tests.fundamentals.stage import StartWorker
from tests.waiting import eventually


@pytest.fixture
def policies() -> dict[str, Any]:
    one = {"by": "resource", "algorithm": "concurrency", "limit": 1}
    bucket = {"by": "resource", "algorithm": "token_bucket", "limit": 2, "per": "1min"}
    return {"limits": {"gmail": one, "quota": bucket}}


@pytest.fixture
def ended(real_app: App) -> Callable[[Any], Job]:
    """The job of a message, once it has ended."""

    def wait(message: Any) -> Job:
        def look() -> bool:
            job = real_app.store.get(message.message_id)
            return job is not None and job.state in (JobState.COMPLETED, JobState.FAILED)

        eventually(look, timeout=20)
        job = real_app.store.get(message.message_id)
        assert job is not None
        return job

    return wait


def used(app: App, name: str) -> int:
    return sum(state.used for state in app.store.limit_states([app.limits.rules[name]]))


def test_a_coroutine_takes_and_gives_back_beside_the_loop(
    real_app: App, running_worker: StartWorker, ended: Callable[[Any], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_in: list[int] = []
    seen: list[int] = []

    def noting(verb: Callable[..., Any]) -> Callable[..., Any]:
        def note(*args: Any, **kwargs: Any) -> Any:
            asked_in.append(threading.get_ident())
            return verb(*args, **kwargs)

        return note

    for verb in ("acquire", "give_back"):
        monkeypatch.setattr(real_app.store, verb, noting(getattr(real_app.store, verb)))

    @actor
    async def sync() -> None:
        async with limit("gmail:acct-7"):
            seen.append(await asyncio.to_thread(used, real_app, "gmail"))
        seen.append(await asyncio.to_thread(used, real_app, "gmail"))
        await limit("gmail:acct-8")
        seen.append(await asyncio.to_thread(used, real_app, "gmail"))
        seen.append(threading.get_ident())

    running_worker()
    assert ended(sync.send()).state is JobState.COMPLETED
    *counts, loop = seen
    assert (counts, used(real_app, "gmail")) == ([1, 0, 1], 0)
    assert len(asked_in) == 3
    assert loop not in asked_in


def test_a_coroutine_that_is_refused_is_held_and_no_attempt_is_spent(
    real_app: App, running_worker: StartWorker
) -> None:
    runs: list[str] = []

    @actor(attempts=1)
    async def fetch(name: str) -> None:
        await limit("quota:acct-7", cost=2)
        runs.append(name)

    running_worker()
    messages = [fetch.send(name) for name in ("a", "b")]
    jobs = lambda: [real_app.store.get(message.message_id) for message in messages]  # noqa: E731
    wanted = [(JobState.COMPLETED, 1), (JobState.WAITING, 0)]
    eventually(lambda: any(job is not None and job.held_reason for job in jobs()), timeout=20)
    eventually(lambda: sorted((job.state, job.attempts) for job in jobs() if job is not None) == wanted)
    assert len(runs) == 1


def test_what_would_hold_up_the_loop_is_refused(
    running_worker: StartWorker, ended: Callable[[Any], Job]
) -> None:
    @actor
    async def sync() -> None:
        with limit("gmail:acct-7"):
            raise AssertionError("it must not come so far")

    running_worker()
    job = ended(sync.send())
    assert (job.state, job.attempts) == (JobState.FAILED, 1)
    assert b"would hold up the event loop and every job on it: write `async with`" in (job.record or b"")


def test_a_limit_that_nobody_awaited_is_not_passed_over(
    running_worker: StartWorker, ended: Callable[[Any], Job]
) -> None:
    @actor
    async def sync() -> str:
        limit("gmail:acct-7")
        return "done without it"

    running_worker()
    job = ended(sync.send())
    assert (job.state, job.attempts) == (JobState.FAILED, 1)
    assert b"limit('gmail:acct-7') was not awaited, so nothing was taken" in (job.record or b"")


def test_what_came_too_late_for_its_task_goes_back(
    real_app: App, running_worker: StartWorker, ended: Callable[[Any], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, acquire = threading.Event(), real_app.store.acquire

    def slow(*args: Any, **kwargs: Any) -> Any:
        assert go_on.wait(20)
        return acquire(*args, **kwargs)

    monkeypatch.setattr(real_app.store, "acquire", slow)

    @actor
    async def sync() -> None:
        try:
            async with asyncio.timeout(0.05):
                await limit("gmail:acct-7")
        except TimeoutError:
            go_on.set()
        async with limit("gmail:acct-8"):
            while await asyncio.to_thread(used, real_app, "gmail") != 1:
                await asyncio.sleep(0.01)

    running_worker()
    assert ended(sync.send()).state is JobState.COMPLETED


def test_threads_of_one_job_get_no_permit_that_does_not_count(
    real_app: App, running_worker: StartWorker, ended: Callable[[Any], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where the one that asked first comes to the store last."""
    asked, second = list[str](), threading.Event()
    runs, counted = list[str](), list[int]()
    acquire = real_app.store.acquire

    def first_comes_late(*args: Any, **kwargs: Any) -> Any:
        asked.append("")
        if len(asked) == 1:
            second.wait(0.3)
            return acquire(*args, **kwargs)
        granted = acquire(*args, **kwargs)
        second.set()
        return granted

    monkeypatch.setattr(real_app.store, "acquire", first_comes_late)

    @actor
    async def sync() -> None:
        runs.append("")
        await asyncio.gather(*(asyncio.to_thread(limit, f"gmail:{number}") for number in range(3)))
        counted.append(await asyncio.to_thread(used, real_app, "gmail"))

    running_worker()
    assert ended(sync.send()).state is JobState.COMPLETED
    assert (counted, len(runs)) == ([3], 1)
