"""What each worker process keeps for itself can be changed while real processes run."""

from functools import partial

import pytest

from jobs.model import Scope
from jobs.rules import Rate
from tests.faults.fleet import Fleet
from tests.waiting import eventually

pytestmark = pytest.mark.faults


def active(fleet: Fleet, number: int, queue: str = "work") -> bool:
    return fleet.store.stats([queue])[0].active == number


def test_the_concurrency_of_running_processes_can_be_raised_and_lowered(fleet: Fleet) -> None:
    fleet.store.adjust(Scope("work"), {"concurrency": 1})
    fleet.send("work", range(300), ms=700)
    fleet.start_two(threads=4)
    eventually(partial(active, fleet, 2))
    fleet.store.adjust(Scope("work"), {"concurrency": 3})
    eventually(partial(active, fleet, 6))
    fleet.store.adjust(Scope("work"), {"concurrency": 2})
    eventually(partial(active, fleet, 4))
    fleet.store.adjust(Scope("work"), {"concurrency": None})
    eventually(partial(active, fleet, 8))


def test_the_rate_of_a_process_is_its_own_and_can_be_lifted(fleet: Fleet) -> None:
    fleet.store.adjust(Scope("quick"), {"worker_rate": Rate(3, 600_000)})
    fleet.start_two(threads=4)
    fleet.send("quick", range(10))
    eventually(lambda: fleet.store.stats(["quick"])[0].completed == 6)
    assert fleet.store.stats(["quick"])[0].waiting == 4, "three starts each"
    fleet.store.adjust(Scope("quick"), {"worker_rate": 0})
    eventually(lambda: fleet.store.stats(["quick"])[0].completed == 10)
