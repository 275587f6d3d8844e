"""SIGKILL at each step of the protocol: what had not run is unspent, what had may run again, none is lost."""

import itertools
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from broker.redis.connection import RedisAddress
from database.engine import make_engine
from tests.faults.fleet import Fleet
from tests.faults.worker import WorkerUnderTest
from tests.tables import give_tables
from tests.waiting import eventually

pytestmark = pytest.mark.faults


class Step(NamedTuple):
    """Where the worker is killed, and what becomes of the job it had."""

    name: str
    runs: int
    attempts: int
    lost_leases: int


STEPS = (
    Step("the job has arrived", runs=1, attempts=1, lost_leases=0),
    Step("a thread is chosen", runs=1, attempts=2, lost_leases=1),
    Step("in the actor", runs=2, attempts=2, lost_leases=1),
    Step("the actor has ended", runs=2, attempts=2, lost_leases=1),
    Step("the settlement is stored", runs=1, attempts=1, lost_leases=0),
)
numbers = itertools.count(1)


class Pair(NamedTuple):
    fleet: Fleet
    survivor: WorkerUnderTest


@pytest.fixture(scope="module")
def pair(redis_address: RedisAddress, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A worker with one thread, for all tests here. While that is taken, others get what is sent."""
    home: Path = tmp_path_factory.mktemp("kill-points")
    engine = make_engine(f"sqlite:///{home / 'callboard.db'}")
    give_tables(engine)
    with closing(Fleet(redis_address, f"test-{home.name}", home, engine)) as fleet:
        yield Pair(fleet, fleet.start(threads=1, lease_s=5.0))
        fleet.balance()
    engine.dispose()


@pytest.fixture
def busy(pair: Pair) -> Iterator[Fleet]:
    """The survivor's thread is taken until the gate is opened."""
    pair.fleet.close_gate()
    (job_id,) = pair.fleet.send("slow", [next(numbers)])
    eventually(lambda: pair.fleet.runs(job_id))
    yield pair.fleet
    pair.fleet.open_gate()
    eventually(lambda: pair.fleet.completed(job_id))


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_worker_killed_when(busy: Fleet, step: Step) -> None:
    victim = busy.start(trap=step.name, queues=["quick"], lease_s=30.0)
    (job_id,) = busy.send("quick", [next(numbers)])
    eventually(victim.ended)
    busy.open_gate()

    # Long before its lease of 30 s is over.
    eventually(lambda: busy.completed(job_id))
    job = busy.job(job_id)
    assert (len(busy.runs(job_id)), job.attempts, job.lost_leases) == step[1:]


def test_the_lease_helper_alone_is_replaced_and_no_lease_is_lost(busy: Fleet) -> None:
    worker = busy.start(queues=["slow"], lease_s=3.0)
    (job_id,) = busy.send("slow", [next(numbers)])
    eventually(lambda: busy.runs(job_id))
    (helper,) = eventually(lambda: worker.helpers)
    worker.kill_helper()
    eventually(lambda: worker.helpers not in ([], [helper]))
    busy.open_gate()
    eventually(lambda: busy.completed(job_id))
    assert len(busy.runs(job_id)) == 1
    assert not worker.ended()
    worker.terminate()
    eventually(worker.ended)


def test_a_helper_killed_between_giving_back_and_taking_back_leaves_it_to_the_lease(busy: Fleet) -> None:
    """It has returned what had not started; what had is reclaimed by another process when the lease ends."""
    victim = busy.start(
        trap="in the actor", helper_trap="unstarted jobs are given back", queues=["quick"], lease_s=1.5
    )
    (job_id,) = busy.send("quick", [next(numbers)])
    eventually(victim.ended)
    busy.open_gate()
    eventually(lambda: busy.completed(job_id))
    assert busy.job(job_id).lost_leases == 1


def test_a_lost_host_is_noticed_when_its_lease_ends(busy: Fleet) -> None:
    victim = busy.start(queues=["slow", "quick"], lease_s=1.0)
    (job_id,) = busy.send("slow", [next(numbers)])
    eventually(lambda: busy.runs(job_id))
    victim.lose_host()
    busy.open_gate()
    eventually(lambda: busy.completed(job_id))
    assert (busy.job(job_id).attempts, busy.job(job_id).lost_leases) == (2, 1)


def test_a_reclaimer_killed_as_it_takes_back_the_jobs_of_another(fleet: Fleet) -> None:
    fleet.send("slow", [1])
    lost = fleet.start(lease_s=1.0)
    eventually(lambda: fleet.runs("slow-1"))
    lost.lose_host()
    reclaimer = fleet.begin(trap="lost jobs are taken back")
    eventually(lambda: reclaimer.poll() is not None)
    fleet.open_gate()
    fleet.start()
    eventually(lambda: fleet.completed("slow-1"))
    assert fleet.balance().leases_lost == 1
