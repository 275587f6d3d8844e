"""The server goes away in the middle of a run: everything it had accepted is there when it is back."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from broker.embedded import EmbeddedServer
from database.audit import AuditReader
from jobs.model import Outcome
from tests.broker.census import check_census
from tests.faults.fleet import Fleet
from tests.waiting import eventually

pytestmark = pytest.mark.faults
JOBS = 1_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = EmbeddedServer(tmp_path / "server", port=port)
    yield server
    server.stop()


def test_a_server_that_was_killed_and_started_again_has_lost_nothing(
    server: EmbeddedServer, tmp_path: Path, engine: Engine
) -> None:
    address = server.start()
    fleet = Fleet(address, "callboard", tmp_path)
    fleet.store.read_events("test", "test")
    try:
        fleet.start(lease_s=3.0)
        fleet.send("quick", range(1_000, 1_005), delay_ms=2_500)
        fleet.send("slow", [1])
        fleet.send("quick", range(JOBS))
        eventually(lambda: len(fleet.ledger()) > 20)

        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        eventually(lambda: not server.running())
        eventually(lambda: "Trying again" in fleet.log())
        server.stop()
        assert server.start() == address

        fleet.open_gate()
        ids = [f"quick-{n}" for n in (*range(JOBS), *range(1_000, 1_005))]
        eventually(lambda: fleet.completed("slow-1", *ids), timeout=20)
        assert all(fleet.ledger()["ran", n] >= 1 for n in range(JOBS))
        check_census(address, fleet.store.keys)
        reader = AuditReader(engine)
        eventually(lambda: reader.count_executions(outcome=Outcome.COMPLETED) == len(ids) + 1)
    finally:
        fleet.close()
