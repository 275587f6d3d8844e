"""Fixtures: an application of one's own, its jobs in memory or on the real server, and a worker on it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dramatiq
import pytest

from actors.composition import App
from broker.testing import FakeJobs, fake
from database.engine import make_engine
from jobs.memory import MemoryStore
from settings import Settings
from tests.sealed import give_keys
from tests.tables import give_tables

StartWorker = Callable[[], dramatiq.Worker]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    engine = give_tables(make_engine(f"sqlite:///{tmp_path / 'callboard.db'}"))
    engine.dispose()
    give_keys(tmp_path)
    return tmp_path


def make_app(monkeypatch: pytest.MonkeyPatch, store: MemoryStore | None = None, **settings: Any) -> App:
    """An application to which `@actor` adds its actors from now on."""
    app = App(Settings(**settings), store)
    monkeypatch.setattr("dramatiq.broker.global_broker", app.broker)
    return app


@pytest.fixture
def policies() -> dict[str, Any]:
    """What a chapter sets beside the defaults: it has a fixture of this name too."""
    return {}


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, home: Path, policies: dict[str, Any]) -> App:
    """An application without a server. Declare actors, then send."""
    return make_app(monkeypatch, MemoryStore(), home=home, **policies)


@pytest.fixture
def jobs(app: App) -> Iterator[FakeJobs]:
    """`send()` records jobs; `jobs.run_all()` runs them."""
    with fake(app.broker) as jobs:
        yield jobs


@pytest.fixture
def real_app(
    monkeypatch: pytest.MonkeyPatch, home: Path, redis_url: str, namespace: str, policies: dict[str, Any]
) -> Iterator[App]:
    """An application whose jobs are on the real server."""
    app = make_app(monkeypatch, home=home, redis={"url": redis_url, "namespace": namespace}, **policies)
    yield app
    app.broker.close()
    app.engine().dispose()


@pytest.fixture
def running_worker(real_app: App, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartWorker]:
    """Call it once the actors are declared: Dramatiq's own Worker runs them in threads of this process."""
    # A short test is over while the lease helper still starts; it is killed instead of waited for.
    monkeypatch.setattr("broker.worker.leases.STOP_S", 1.05)
    # Of `get_result(block=True)`, on a machine that has other work.
    monkeypatch.setattr("broker.results.DEFAULT_TIMEOUT", 30_000)
    workers: list[dramatiq.Worker] = []

    def start() -> dramatiq.Worker:
        workers.append(dramatiq.Worker(real_app.broker, worker_threads=4, worker_timeout=50))
        workers[0].start()
        return workers[0]

    yield start
    for worker in workers:
        worker.stop(timeout=10_000)
