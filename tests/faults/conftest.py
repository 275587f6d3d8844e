"""A fleet of real worker processes for each test."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Engine

from broker.redis.connection import RedisAddress
from broker.redis.embedded import EmbeddedServer
from database.engine import make_engine
from tests.broker.leaks import leaked_keys
from tests.faults.fleet import Fleet
from tests.ports import free_port
from tests.proxy import TcpProxy, proxy_to
from tests.tables import give_tables


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """The audit's database, where the workers look for it."""
    engine = make_engine(f"sqlite:///{tmp_path / 'callboard.db'}")
    give_tables(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def fleet(redis_address: RedisAddress, namespace: str, tmp_path: Path, engine: Engine) -> Iterator[Fleet]:
    fleet = Fleet(redis_address, namespace, tmp_path, engine)
    yield fleet
    fleet.close()
    assert leaked_keys(redis_address, namespace) == []


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server of the test's own, on a port that stays, which keeps what it has accepted."""
    server = EmbeddedServer(tmp_path / "server", port=free_port())
    yield server
    server.stop()


@pytest.fixture
def proxy(fleet: Fleet) -> Iterator[TcpProxy]:
    """Between the fleet and its server, for those that are told so."""
    port = urlsplit(fleet.url()).port
    assert port is not None
    with proxy_to(port) as proxy:
        yield proxy
