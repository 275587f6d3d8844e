"""The servers of each topology, started when a test of it asks for them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.topologies.servers import Server, cluster, ended, replicated


@pytest.fixture(scope="session")
def home(server_of_choice: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[Server]:
    """One plain server that also listens on a Unix socket."""
    server = Server(home, 'save ""', f"unixsocket {home}/redis.sock")
    with ended(server):
        yield server


@pytest.fixture(params=[60_000])
def watched_pair(request: pytest.FixtureRequest, home: Path) -> Iterator[tuple[Server, Server, Server]]:
    """A master, its replica and a sentinel; a failover changes them, so each test has its own."""
    servers = replicated(home, request.param)
    with ended(*servers):
        yield servers


@pytest.fixture(scope="module")
def calm_pair(home: Path) -> Iterator[tuple[Server, Server, Server]]:
    """The same for tests that only look."""
    servers = replicated(home)
    with ended(*servers):
        yield servers


@pytest.fixture(scope="session")
def three_nodes(home: Path) -> Iterator[list[Server]]:
    nodes = cluster(home)
    with ended(*nodes):
        yield nodes
