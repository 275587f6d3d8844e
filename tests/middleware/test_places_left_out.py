"""Which job runs here is the broker's to say: whatever is left out, no guard takes a run for a plain call."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dramatiq
import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs, fake, inline
from jobs.memory import MemoryStore
from jobs.states import JobState
from middleware.audit import cost
from middleware.cancellation import on_cancel
from middleware.current import current_job, running
from middleware.job_log import job_log
from middleware.limits import limit
from middleware.progress import milestone, progress
from middleware.stack import STACK
from middleware.steps import step
from tests.fundamentals.stage import make_app
from tests.middleware.steps import error_of, job_of
from tests.waiting import eventually

ONE = {"gmail": {"by": "resource", "algorithm": "concurrency", "limit": 1}}
ALL_THAT_ASK = ["progress", "steps", "job_log"]


@pytest.fixture
def without() -> list[str]:
    return ALL_THAT_ASK


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, home: Path, without: list[str]) -> App:
    return make_app(monkeypatch, MemoryStore(), home=home, middleware={"without": without}, limits=ONE)


@pytest.fixture
def jobs(app: App) -> Iterator[FakeJobs]:
    with fake(app.broker) as jobs:
        yield jobs


@pytest.mark.parametrize("without", [ALL_THAT_ASK, [place.name for place in STACK if place.name != "limits"]])
def test_a_limit_counts_whatever_else_is_left_out(app: App, jobs: FakeJobs) -> None:
    used = list[int]()

    @actor
    def sync() -> None:
        with limit("gmail:acct-7"):
            (state,) = jobs.store.limit_states([app.limits.rules["gmail"]])
            used.append(state.used)

    sync.send()
    jobs.run_all()
    assert used == [1]


def test_on_real_workers_a_limit_of_one_lets_one_in(
    monkeypatch: pytest.MonkeyPatch, home: Path, redis_url: str, namespace: str
) -> None:
    app = make_app(
        monkeypatch,
        home=home,
        redis={"url": redis_url, "namespace": namespace},
        middleware={"without": ALL_THAT_ASK},
        limits=ONE,
    )
    monkeypatch.setattr("broker.worker.leases.STOP_S", 1.05)
    now, most, lock = [0], [0], threading.Lock()

    @actor(attempts=30)
    def sync() -> None:
        with limit("gmail:acct-7"):
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            threading.Event().wait(0.05)
            with lock:
                now[0] -= 1

    messages = [sync.send() for _ in range(8)]
    worker = dramatiq.Worker(app.broker, worker_threads=4, worker_timeout=50)
    worker.start()

    def all_done() -> bool:
        found = [app.store.get(message.message_id) for message in messages]
        return all(job is not None and job.state is JobState.COMPLETED for job in found)

    try:
        eventually(all_done, timeout=30)
    finally:
        worker.stop(timeout=10_000)
        app.broker.close()
        app.engine().dispose()
    assert most == [1]


def test_what_asks_for_the_job_finds_it_and_what_is_left_out_does_nothing(jobs: FakeJobs) -> None:
    seen = list[Any]()

    @actor
    def long() -> None:
        progress(1, 2)
        milestone(50)
        job_log.info("half way")
        cost(0.5)
        on_cancel(lambda: None)
        job = running.get()
        assert job is not None
        seen.extend([current_job() is not None, job.cost, len(job.on_cancel or ())])

    message = long.send()
    jobs.run_all()
    assert seen == [True, (0.5, "usd"), 1]
    assert (job_of(jobs, message).state, job_of(jobs, message).progress) == (JobState.COMPLETED, None)
    assert running.get() is None


def test_a_step_that_nothing_keeps_is_refused(jobs: FakeJobs) -> None:
    """Not run as a plain call, which a retry would do a second time."""

    @actor
    def order() -> None:
        step("charge", lambda: 1)

    message = order.send()
    jobs.run_all()
    assert "This worker keeps no steps" in error_of(jobs, message)["message"]


@pytest.mark.parametrize("without", [[], ALL_THAT_ASK])
def test_a_job_that_runs_another_one_inline_is_itself_again_afterwards(app: App) -> None:
    seen = list[str]()

    def here() -> str:
        job = running.get()
        return "" if job is None else job.actor_name

    @actor
    def broken() -> None:
        raise ValueError

    @actor
    def child() -> None:
        seen.append(here())

    @actor(attempts=1)
    def outer() -> None:
        seen.append(here())
        child.send()
        seen.append(here())
        with pytest.raises(ValueError):
            broken.send()
        seen.append(here())

    with inline(app.broker):
        outer.send()
    assert seen == ["outer", "child", "outer", "outer"]
    assert here() == ""
