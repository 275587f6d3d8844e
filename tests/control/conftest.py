import os
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from actors.composition import App
from control.api.keys import KeyFile
from jobs.memory import MemoryStore
from jobs.store import JobStore
from tests.control.board import small_app
from tests.control.serving import serving


@pytest.fixture
def store() -> JobStore:
    return MemoryStore()


@pytest.fixture
def app(store: JobStore, tmp_path: Path) -> App:
    return small_app(store, tmp_path)


@pytest.fixture(scope="session")
def bare() -> Iterator[httpx2.Client]:
    """An HTTP client without a key. One for all, because a client is slow to make."""
    with httpx2.Client(trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, httpx2.Client]]:
    """The API under a real uvicorn on loopback, and a client that has its key."""
    app = small_app(MemoryStore(), tmp_path_factory.mktemp("home"))
    key = KeyFile(app.settings.home).ensure()
    headers = {"Authorization": f"Bearer {key}"}
    with (
        serving(app) as url,
        httpx2.Client(base_url=url, headers=headers, trust_env=False, timeout=10) as client,
    ):
        yield app, client


@pytest.fixture
def api(served: tuple[App, httpx2.Client], store: JobStore) -> httpx2.Client:
    """A client of the API, which stands on this test's own store."""
    app, client = served
    app.broker.store = store
    return client


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine where nothing is configured and nothing runs."""
    foreign = (
        "REDIS",
        "DATABASE",
        "CALLBOARD",
        "WORKER",
        "QUEUE",
        "SMTP",
        "SENTRY",
        "START_WORKERS",
        "NODE_",
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**clean, "CALLBOARD_HOME": str(tmp_path / "home")}
