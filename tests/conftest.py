"""Fixtures that every room's tests share: one real server, and a namespace for each test."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.connection import RedisAddress
from broker.embedded import EmbeddedServer


@pytest.fixture(scope="session")
def redis_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisAddress]:
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
