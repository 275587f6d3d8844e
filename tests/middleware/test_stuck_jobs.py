"""A job that nothing can end does not keep its process for ever: real worker processes, and their ends."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from actors.composition import App
from broker.worker.overruns import EXIT_STUCK
from jobs.states import JobState
from tests.control.running import Running, running
from tests.fundamentals.stage import make_app
from tests.middleware import stuck
from tests.sealed import KEYS
from tests.waiting import eventually

FOREIGN = ("REDIS", "DATABASE", "CALLBOARD", "WORKER", "QUEUE", "SENTRY", "OTEL", "NODE_")


class Place:
    """A namespace with the actors of `stuck`, and workers on it."""

    def __init__(self, app: App, redis_url: str, namespace: str) -> None:
        self.app = app
        clean = {name: "" for name in os.environ if name.startswith(FOREIGN)}
        self._env = clean | {
            "REDIS_URL": redis_url,
            "CALLBOARD_REDIS__NAMESPACE": namespace,
            "CALLBOARD_HOME": str(app.settings.home),
            "CALLBOARD_KEYS__RING__1": KEYS["ring"]["1"],
            "CALLBOARD_WORKERS__STUCK_SECONDS": "1",
            "CALLBOARD_WORKERS__STOP_SECONDS": "3",
            "CALLBOARD_WORKERS__MAX_LOST_LEASES": "2",
        }

    @contextmanager
    def worker(self) -> Iterator[Running]:
        argv = [sys.executable, "-m", "dramatiq", "tests.middleware.stuck", "-p", "1", "-t", "3"]
        with running(argv, self._env) as worker:
            try:
                worker.line_with("is ready for action", timeout=30)
                yield worker
            finally:
                with suppress(ProcessLookupError):  # the command's own end would leave what it has started
                    os.killpg(worker.process.pid, signal.SIGKILL)

    def send(self, name: str, *args: object) -> str:
        return str(self.app.broker.actors[name].send(*args).message_id)

    def state(self, job_id: str) -> JobState | None:
        job = self.app.store.get(job_id)
        return None if job is None else job.state


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, home: Path, redis_url: str, namespace: str) -> Iterator[Place]:
    app = make_app(monkeypatch, home=home, redis={"url": redis_url, "namespace": namespace}, keys=KEYS)
    stuck.declare()
    yield Place(app, redis_url, namespace)
    app.broker.close()
    app.engine().dispose()


@pytest.mark.timeout(180)
def test_it_hands_over_the_rest_and_ends_and_the_run_counts_as_lost(place: Place) -> None:
    with place.worker() as worker:
        finishing, endless = place.send("neighbour", 3.0), place.send("interruptible")
        worker.line_with("interruptible began")
        worker.line_with("neighbour began")
        stuck_id = place.send("in_a_system_call")
        worker.line_with("stuck in")
        worker.line_with("cannot be ended: it does not come back from a call into the system")
        waiting = place.send("neighbour", 0.0)
        assert worker.ended(30) == EXIT_STUCK

    # Its neighbour had the time of a stop to finish; what would not end went back, counted apart.
    assert place.state(finishing) is JobState.COMPLETED
    handed_over = place.app.store.get(endless)
    assert handed_over is not None
    assert (handed_over.attempts, handed_over.interruptions, handed_over.lost_leases) == (0, 1, 0)
    assert place.state(waiting) is JobState.WAITING
    # The helper has reported it already: nobody waits for a lease to run out.
    eventually(lambda: place.state(stuck_id) is JobState.WAITING)
    lost = place.app.store.get(stuck_id)
    assert lost is not None
    assert (lost.attempts, lost.lost_leases) == (1, 1)

    with place.worker() as worker:  # as a supervisor would
        assert worker.ended(30) == EXIT_STUCK
    eventually(lambda: place.state(stuck_id) is JobState.FAILED)
    dead = place.app.store.get(stuck_id)
    assert dead is not None
    assert b"LeaseLost" in (dead.record or b"")
    with place.worker():
        eventually(lambda: place.state(waiting) is JobState.COMPLETED)


@pytest.mark.timeout(120)
def test_one_that_holds_the_interpreter_lock_is_ended_from_outside(place: Place) -> None:
    with place.worker() as worker:
        stuck_id = place.send("with_the_interpreter_lock", 60)
        worker.line_with("A job runs past its hard limit and lets nothing else move", timeout=40)
        worker.ended(30)
    eventually(lambda: place.state(stuck_id) is JobState.WAITING)
    lost = place.app.store.get(stuck_id)
    assert lost is not None
    assert (lost.attempts, lost.lost_leases) == (1, 1)
