"""The server goes away in the middle of a run, or is full: what it had accepted is there afterwards."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from broker.redis.embedded import EmbeddedServer
from jobs.errors import StoreFull, StoreUnavailable
from tests.broker.full import at_maxmemory
from tests.faults.fleet import Fleet
from tests.waiting import eventually

pytestmark = pytest.mark.faults


@pytest.fixture
def fleet(server: EmbeddedServer, tmp_path: Path, engine: Engine) -> Iterator[Fleet]:
    fleet = Fleet(server.start(), "callboard", tmp_path, engine)
    yield fleet
    fleet.close()


def test_a_server_that_was_killed_and_started_again_has_lost_nothing(
    fleet: Fleet, server: EmbeddedServer
) -> None:
    fleet.start(lease_s=15.0)
    fleet.send("slow", [1])
    delayed = fleet.send("quick", range(5_000, 5_010), delay_ms=2_500)
    quick = fleet.send("quick", range(2_000))
    eventually(lambda: len(fleet.runs()) > 20)

    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    eventually(lambda: not server.running())
    with pytest.raises(StoreUnavailable, match=r"cannot be reached.*start it"):
        fleet.send("quick", [9_999])
    eventually(lambda: "Trying again" in fleet.log())
    server.stop()
    before = len(fleet.runs())
    server.start()
    back = time.monotonic()

    eventually(lambda: len(fleet.runs()) > before)
    within_s = 1.0 + 2.0  # it is tried once a second; the rest is for a machine that is busy with other tests
    assert fleet.runs()[before].start - back < within_s, "a second after its return they work again"
    fleet.open_gate()
    eventually(lambda: fleet.completed("slow-1", *quick, *delayed))
    assert fleet.balance().leases_lost == 0


def test_a_full_server_refuses_new_jobs_and_lets_the_work_drain(fleet: Fleet) -> None:
    ids = [*fleet.send("quick", range(1_000)), *fleet.send("work", range(20), fails=1)]
    address = fleet.store.address
    with at_maxmemory(address):
        fleet.start()
        with pytest.raises(StoreFull, match="maxmemory"):
            fleet.send("quick", [9_999])
        eventually(lambda: fleet.completed(*ids))
    fleet.send("quick", [10_000])
    fleet.balance()
