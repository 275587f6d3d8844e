"""On a busy machine the loop of `async def` actors begins late; it is waited for."""

import threading

import dramatiq
import pytest
from dramatiq.asyncio import EventLoopThread

from actors.declare import actor
from broker.testing import inline
from jobs.memory import MemoryStore
from middleware.event_loop import EventLoop
from tests.fundamentals.stage import make_app

#: Seconds: more than Dramatiq would wait.
LATE_S = 1.1


@pytest.fixture(autouse=True)
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each loop's thread gets its first turn so much later."""
    run = EventLoopThread.run

    def run_late(self: EventLoopThread) -> None:
        threading.Event().wait(LATE_S)
        run(self)

    monkeypatch.setattr(EventLoopThread, "run", run_late)


def test_a_worker_boots(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = make_app(monkeypatch).broker
    loop = next(one for one in broker.middleware if isinstance(one, EventLoop))
    worker = dramatiq.Worker.__new__(dramatiq.Worker)
    loop.before_worker_boot(broker, worker)
    loop.after_worker_shutdown(broker, worker)


def test_a_test_of_ones_own_actors_runs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(monkeypatch, MemoryStore())

    @actor
    async def double(x: int) -> int:
        return 2 * x

    with inline(app.broker):
        assert double.send(21).get_result() == 42
