"""The server goes away in the middle of a run: everything it had accepted is there when it is back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from broker.embedded import EmbeddedServer
from tests.broker.census import check_census
from tests.faults.fleet import Fleet
from tests.waiting import eventually

pytestmark = pytest.mark.faults
JOBS = 300


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(tmp_path / "server")
    yield server
    server.stop()


def test_a_restarted_server_has_lost_nothing(server: EmbeddedServer, tmp_path: Path, engine: Engine) -> None:
    address = server.start()
    fleet = Fleet(address, "callboard", tmp_path)
    fleet.store.read_events("test", "test")
    try:
        fleet.start(lease_s=3.0)
        fleet.send("quick", range(1_000, 1_005), delay_ms=2_500)
        fleet.send("slow", [1])
        fleet.send("quick", range(JOBS))
        eventually(lambda: len(fleet.ledger()) > 20)

        server.restart()  # type: ignore[attr-defined]

        fleet.open_gate()
        ids = [f"quick-{n}" for n in (*range(JOBS), *range(1_000, 1_005))]
        eventually(lambda: fleet.completed("slow-1", *ids), timeout=20)
        assert all(fleet.ledger()["ran", n] >= 1 for n in range(JOBS))
        check_census(address, fleet.store.keys)
    finally:
        fleet.close()
