"""Fixtures that every room's tests share: one real server, and a namespace for each test."""

import gc
import os
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from broker.redis.connection import RedisAddress
from broker.redis.embedded import EmbeddedServer

if TYPE_CHECKING:
    from xdist.remote import Producer

    from tests.turns import Turns

# A slow machine is no fault of the code. Each run has the same examples, one with many MODEL_EXAMPLES others.
settings.register_profile(
    "callboard",
    deadline=None,
    derandomize=int(os.environ.get("MODEL_EXAMPLES", "0")) < 50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("callboard")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> "Turns":
    """With `-n` the tests are parted as `turns` says."""
    from tests.turns import Turns

    return Turns(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected lasts to the end. The garbage collection does not look through it, neither while it
    grows nor, a second long each time, while tests run."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def server_of_choice(tmp_path_factory: pytest.TempPathFactory) -> None:
    """`TEST_REDIS_SERVER=/path/to/redis-server` runs the tests on that server instead of the wheel's.

    It becomes the first on PATH, so that the processes which the tests start find it too.
    """
    if chosen := os.environ.get("TEST_REDIS_SERVER"):
        folder = tmp_path_factory.mktemp("server-of-choice")
        (folder / "valkey-server").symlink_to(Path(chosen).absolute())
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(scope="session")
def redis_address(server_of_choice: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisAddress]:
    """A real server on loopback, with persistence off: no test here restarts it."""
    server = EmbeddedServer(Path(tmp_path_factory.mktemp("server")), durable=False)
    yield server.start()
    server.stop()


@pytest.fixture(scope="session")
def redis_url(redis_address: RedisAddress) -> str:
    return redis_address.url


@pytest.fixture
def namespace() -> str:
    """A prefix of its own for each test, so that no test sees another's jobs."""
    return f"test-{uuid.uuid4().hex[:12]}"
