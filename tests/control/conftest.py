import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from actors import app as platform
from actors.composition import App
from broker.redis.connection import RedisAddress
from broker.redis.redis_store import RedisStore
from control.api.keys import KeyFile
from control.cli import main
from database.adjustments import Adjustments
from jobs.memory import MemoryStore
from jobs.store import JobStore
from tests.control.board import small_app
from tests.control.serving import serving
from tests.ports import free_port
from tests.sealed import KEY_VARIABLE
from tests.tables import give_tables


@pytest.fixture
def store() -> JobStore:
    return MemoryStore()


@pytest.fixture
def app(store: JobStore, tmp_path: Path) -> App:
    return small_app(store, tmp_path)


@pytest.fixture
def ruled(app: App) -> Iterator[App]:
    """The same with a database for the rules that are changed."""
    give_tables(app.engine())
    yield app
    app.engine().dispose()


@pytest.fixture(scope="session")
def bare() -> Iterator[httpx2.Client]:
    """An HTTP client without a key. One for all, because a client is slow to make."""
    with httpx2.Client(trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, httpx2.Client]]:
    """The API under a real uvicorn on loopback, and a client that has its key."""
    app = small_app(MemoryStore(), tmp_path_factory.mktemp("home"))
    give_tables(app.engine())
    key = KeyFile(app.settings.home).ensure()
    headers = {"Authorization": f"Bearer {key}"}
    with (
        serving(app) as url,
        httpx2.Client(base_url=url, headers=headers, trust_env=False, timeout=30) as client,
    ):
        yield app, client
    app.engine().dispose()


@pytest.fixture
def api(served: tuple[App, httpx2.Client], store: JobStore) -> httpx2.Client:
    """A client of the API, which stands on this test's own store."""
    app, client = served
    app.broker.store = store
    kept = Adjustments(app.engine())
    for one in kept.read():
        kept.forget(one.scope.queue)
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


@pytest.fixture
def joined(env: dict[str, str], redis_url: str, namespace: str) -> dict[str, str]:
    """The same with a real Redis."""
    return {**env, "REDIS_URL": redis_url, "CALLBOARD_REDIS__NAMESPACE": namespace, **KEY_VARIABLE}


@pytest.fixture
def board(redis_url: str, namespace: str) -> Iterator[RedisStore]:
    """The store that the commands of `joined` speak to."""
    store = RedisStore(lambda: RedisAddress(redis_url), namespace)
    yield store
    store.close()


@pytest.fixture
def closed_port() -> int:
    """A port where nobody listens."""
    return free_port()


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MemoryStore]:
    """A store in memory and a home of its own under the commands that `here` runs."""
    store = MemoryStore()
    with under_the_commands(store, tmp_path, monkeypatch):
        yield store


@pytest.fixture
def reached(
    board: RedisStore, joined: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[RedisStore]:
    """The store of `board` and the home of `joined` under the commands that `here` runs."""
    for name in ("CALLBOARD_HOME", "REDIS_URL", "CALLBOARD_REDIS__NAMESPACE"):
        monkeypatch.setenv(name, joined[name])
    home = Path(joined["CALLBOARD_HOME"])
    home.mkdir()
    with under_the_commands(board, home, monkeypatch):
        yield board


@contextmanager
def under_the_commands(store: JobStore, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(platform.broker, "store", store)
    # What tests put there is not signed, and what a machine has as keys is no business of theirs.
    monkeypatch.setattr(platform.broker.codec, "seal", None)
    monkeypatch.setattr(platform, "settings", platform.settings.model_copy(update={"home": home}))
    monkeypatch.setattr(platform, "_engine", None)
    yield
    if platform._engine is not None:
        platform._engine.dispose()


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run a command in this process, which is quicker than a program of its own."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, ended.value.code, said.out, said.err)

    return run
