"""Faults that take seconds of waiting, beside each other: a short run of `make chaos` goes on meanwhile, and
a host has been lost under the default settings."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from broker.redis.connection import RedisAddress
from broker.redis.redis_store import RedisStore
from database.engine import make_engine
from jobs.errors import StoreUnavailable
from jobs.model import NewJob
from jobs.states import JobState
from tests.faults.chaos import Chaos
from tests.faults.fleet import Fleet
from tests.faults.ledger import Balance
from tests.proxy import Mode, TcpProxy
from tests.sealed import signed
from tests.tables import give_tables
from tests.waiting import eventually

pytestmark = pytest.mark.faults

SECONDS, SEED = 12.0, 20_261_122


@pytest.fixture(scope="module", autouse=True)
def short_chaos(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Future[tuple[Balance, str]]"]:
    """Runs by itself, with a server of its own."""
    chaos = Chaos(tmp_path_factory.mktemp("chaos"), SECONDS, SEED, lease_s=3.0, longest_ms=200)
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(chaos.run)
        chaos.cut_short()


@pytest.fixture(scope="module", autouse=True)
def lost_host(
    redis_address: RedisAddress, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Fleet, float]]:
    """A fleet of two processes as in production, and when the host of one was lost with a job."""
    home: Path = tmp_path_factory.mktemp("lost-host")
    engine = make_engine(f"sqlite:///{home / 'callboard.db'}")
    give_tables(engine)
    with closing(Fleet(redis_address, f"test-{home.name}", home, engine)) as fleet:
        workers = fleet.start_two(lease_s=15.0, patient=True)
        fleet.send("slow", [1])
        (run,) = eventually(lambda: fleet.runs("slow-1"))
        next(worker for worker in workers if worker.pid == run.pid).lose_host()
        fleet.open_gate()
        yield fleet, time.monotonic()
    engine.dispose()


def test_five_seconds_without_packets_end_in_a_clear_error_and_in_full_service_after(
    fleet: Fleet, proxy: TcpProxy
) -> None:
    """With leases of 3 s, so that they are lost meanwhile."""
    cut_off = fleet.start(via=proxy.port, lease_s=3.0)
    fleet.send("slow", [1])
    eventually(lambda: fleet.runs("slow-1"))
    other = fleet.start(lease_s=3.0, queues=["slow"])
    producer = RedisStore(lambda: RedisAddress(fleet.url(proxy.port)), fleet.store.keys.namespace)
    producer.ping()
    fleet.send("work", [1, 2], ms=500, fails=1)  # they fail while nobody can be told
    eventually(lambda: len(fleet.runs()) == 3)

    proxy.mode = Mode.BLACKHOLE
    with ThreadPoolExecutor(1) as pool:
        since = time.monotonic()
        job = signed(NewJob("quick-1", "quick", "quick", b'[[],{"n":1},{},0]'))
        sending = pool.submit(producer.enqueue, [job])
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            sending.result()
        assert time.monotonic() - since < 10.0, "6 s, and what a loaded machine adds"
    eventually(lambda: len(fleet.runs("slow-1")) == 2)
    fleet.open_gate()
    proxy.mode = Mode.FORWARD

    ids = fleet.send("quick", range(2, 100))
    eventually(lambda: fleet.completed("slow-1", "work-1", "work-2", *ids))
    producer.close()
    balance = fleet.balance()
    assert not cut_off.ended()
    assert [run.word for run in fleet.runs("work-1")] == ["stopped", "ended"]
    assert {run.pid for run in fleet.runs("slow-1")} == {cut_off.pid, other.pid}
    assert balance.leases_lost >= 1


def test_a_frozen_workers_job_runs_elsewhere_and_its_late_settlement_is_refused(fleet: Fleet) -> None:
    workers = fleet.start_two(lease_s=2.0)
    fleet.send("slow", [1])
    (run,) = eventually(lambda: fleet.runs("slow-1"))
    frozen, other = sorted(workers, key=lambda worker: worker.pid != run.pid)
    frozen.pause()
    eventually(lambda: len(fleet.runs("slow-1")) == 2)

    fleet.open_gate(frozen)
    frozen.resume()

    eventually(lambda: "Job slow-1 was run elsewhere: its lease had been lost." in fleet.log())
    job = fleet.job("slow-1")
    assert (job.state, job.owner) == (JobState.ACTIVE, other.owner), "it still runs there"
    fleet.open_gate()
    eventually(lambda: fleet.completed("slow-1"))
    # It goes on working.
    fleet.send("work", range(16), ms=100)
    eventually(lambda: frozen.pid in {run.pid for run in fleet.runs() if run.job_id != "slow-1"})
    fleet.balance()
    assert sorted((row.outcome, row.owner) for row in fleet.rows() if row.job_id == "slow-1") == [
        ("completed", other.owner),
        ("lost", frozen.owner),
    ]


def test_a_job_that_runs_longer_than_the_stop_may_take_is_handed_back(fleet: Fleet) -> None:
    stopping = fleet.start(stop_s=1.0, lease_s=15.0)
    fleet.send("slow", [1])
    eventually(lambda: fleet.runs("slow-1"))
    stopping.terminate()
    eventually(stopping.ended)

    job = fleet.job("slow-1")
    found = (job.state, job.attempts, job.interruptions, job.lost_leases)
    assert found == (JobState.DELAYED, 0, 1, 0), fleet.log()[-3_000:]
    assert fleet.store.workers() == []

    fleet.open_gate()
    fleet.start()
    eventually(lambda: fleet.completed("slow-1"))
    assert fleet.job("slow-1").attempts == 1
    fleet.balance()
    assert [row.outcome for row in fleet.rows()] == ["interrupted", "completed"]


def test_a_job_that_holds_the_interpreter_lock_longer_than_its_lease_is_not_run_twice(fleet: Fleet) -> None:
    workers = fleet.start_two(lease_s=2.0)  # the other one reclaims all the time
    fleet.send("hog", [1], seconds=5)
    eventually(lambda: fleet.runs("hog-1"))
    since = time.monotonic()
    eventually(lambda: fleet.runs("hog-1")[0].end, timeout=40)
    assert time.monotonic() - since > 4.0, "no test unless it held the lock for two leases"
    balance = fleet.balance()
    assert (balance.leases_lost, len(fleet.runs("hog-1"))) == (0, 1)
    assert not any(worker.ended() for worker in workers)


def test_the_job_of_a_lost_host_runs_again_within_twenty_seconds_by_default(
    lost_host: tuple[Fleet, float],
) -> None:
    fleet, lost_at = lost_host
    eventually(lambda: fleet.completed("slow-1"), timeout=40)
    _, second = fleet.runs("slow-1")
    assert second.start - lost_at < 20.0
    assert fleet.balance().leases_lost == 1


@pytest.mark.timeout(120)
def test_seconds_of_random_faults_lose_nothing_and_leave_nothing_stuck(
    short_chaos: "Future[tuple[Balance, str]]",
) -> None:
    balance, happened = short_chaos.result()
    assert balance.clean, f"{balance}\n{happened}\n{balance.details()}"
    assert balance.accepted > 100
