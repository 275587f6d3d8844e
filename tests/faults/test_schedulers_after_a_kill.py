"""Real schedulers are killed and stopped at every step; another takes over: no tick is lost or doubled."""

import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from database.engine import make_engine
from database.schedule_history import ScheduleHistory
from database.scheduler_lease import SchedulerLease
from database.schedules import Schedules
from jobs.schedules import tick_id
from jobs.states import JobState
from jobs.times.intervals import Every
from tests.faults.fleet import Fleet
from tests.postgres import postgres_database, postgres_server, postgres_url
from tests.proxy import Mode, TcpProxy
from tests.tables import give_tables
from tests.waiting import eventually

__all__ = ["postgres_database", "postgres_server", "postgres_url"]

pytestmark = pytest.mark.faults

#: Schedules of the processes, and the seconds between their ticks.
EVERY = {"quick": 1, "slow": 2}
TAKEN_OVER_S = 30.0

Process = subprocess.Popen[bytes]


class Schedulers:
    """Processes, and what they have done so far."""

    def __init__(self, fleet: Fleet, engine: Engine, database: str = "") -> None:
        self._database = database
        self.fleet = fleet
        self.lease = SchedulerLease(engine)
        self.rows = Schedules(engine)
        self.history = ScheduleHistory(engine)
        self._processes: list[Process] = []

    def begin(
        self, trap: str = "", *, round: int = 3, freeze: bool = False, via: int | None = None
    ) -> Process:
        """Start one. In the given round it dies at the step `trap`, or stands still there."""
        told = self.fleet.options() | {"trap": trap, "round": round, "freeze": freeze}
        told["database"] = self._database
        process = self.fleet.run("tests.faults.scheduler_process", via=via, **told)
        self._processes.append(process)
        return process

    def start(
        self, trap: str = "", *, round: int = 3, freeze: bool = False, via: int | None = None
    ) -> Process:
        """Start one that leads, and wait until it does."""
        process = self.begin(trap, round=round, freeze=freeze, via=via)
        eventually(lambda: self.lease.standing().held, timeout=30.0)
        return process

    def stand_by(self) -> Process:
        """Start one that waits for the lease, and wait until it is there."""
        before = len(self.lease.processes())
        process = self.begin()
        eventually(lambda: len(self.lease.processes()) > before, timeout=30.0)
        return process

    def fired_until(self) -> datetime:
        """The newest tick that is stored."""
        return self.rows.all()[0].cursor if self.rows.all() else datetime.min.replace(tzinfo=UTC)

    def fires_after(self, moment: datetime, timeout: float = TAKEN_OVER_S) -> None:
        eventually(lambda: self.fired_until() > moment, timeout=timeout)

    def end(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self._processes:
            process.wait(30)

    def check(self) -> None:
        """End all of them. Then each tick there was has one job, and one row in the history."""
        eventually(lambda: all(len(self.history.of(row.name, 10)) > 1 for row in self.rows.all()))
        self.end()
        for row in self.rows.all():
            timing, ticks = Every(EVERY[row.name]), []
            tick = timing.next_after(row.created_at)
            while tick is not None and tick <= row.cursor:
                ticks.append(tick)
                tick = timing.next_after(tick)
            ids = [tick_id(row.name, tick) for tick in ticks]
            states = (JobState.WAITING, JobState.DELAYED)
            there = [
                job.id for state in states for job in self.fleet.store.list_jobs(row.name, state, 10_000)
            ]
            assert sorted(there) == sorted(ids)
            told = self.history.of(row.name, 10_000)
            assert sorted(str(tick.job_id) for tick in told) == sorted(ids)
            assert {tick.outcome for tick in told} == {"enqueued"}
            assert len(ids) > 1


@pytest.fixture
def schedulers(fleet: Fleet, engine: Engine) -> Iterator[Schedulers]:
    schedulers = Schedulers(fleet, engine)
    yield schedulers
    schedulers.end()


@pytest.mark.parametrize("step", ["the ticks are read", "the cursors are stored"])
def test_a_leader_is_killed_when(schedulers: Schedulers, step: str) -> None:
    victim = schedulers.start(step)
    schedulers.stand_by()
    eventually(lambda: victim.poll() is not None, timeout=30.0)
    died = time.monotonic()
    assert victim.returncode == -signal.SIGKILL

    schedulers.fires_after(schedulers.fired_until())
    assert time.monotonic() - died < TAKEN_OVER_S
    schedulers.fires_after(schedulers.fired_until())
    schedulers.check()


@pytest.mark.postgres
def test_a_leader_is_killed_when_the_jobs_are_enqueued_and_its_cursors_are_on_postgresql(
    fleet: Fleet, postgres_database: str
) -> None:
    engine = give_tables(make_engine(postgres_database))
    schedulers = Schedulers(fleet, engine, postgres_database)
    try:
        victim = schedulers.start("the jobs are enqueued")
        schedulers.stand_by()
        eventually(lambda: victim.poll() is not None, timeout=30.0)
        assert victim.returncode == -signal.SIGKILL
        schedulers.fires_after(schedulers.fired_until())
        schedulers.check()
    finally:
        schedulers.end()
        engine.dispose()


def test_a_leader_is_killed_as_it_takes_and_as_it_gives_up_the_lease(schedulers: Schedulers) -> None:
    victim = schedulers.begin("the lease is taken", round=1)
    eventually(lambda: victim.poll() is not None, timeout=30.0)
    leader = schedulers.begin("the lease is given up", round=1)
    eventually(lambda: schedulers.rows.all(), timeout=TAKEN_OVER_S)
    schedulers.fires_after(schedulers.fired_until())
    schedulers.stand_by()
    leader.terminate()
    eventually(lambda: leader.poll() is not None)
    assert leader.returncode == -signal.SIGKILL
    schedulers.fires_after(schedulers.fired_until())
    schedulers.check()


@pytest.mark.parametrize("step", ["the ticks are read", "the jobs are enqueued"])
def test_a_leader_that_was_stopped_for_longer_than_its_lease_wakes_up_when(
    schedulers: Schedulers, step: str
) -> None:
    frozen = schedulers.start(step, freeze=True)
    other = schedulers.stand_by()
    token = schedulers.lease.standing().token
    eventually(lambda: schedulers.lease.standing().token > token, timeout=30.0)
    schedulers.fires_after(schedulers.fired_until())
    frozen.send_signal(signal.SIGCONT)  # it sends what it had read, and what is due since
    eventually(lambda: "this one" in schedulers.fleet.log() and "stands by" in schedulers.fleet.log())
    schedulers.fires_after(schedulers.fired_until())
    assert frozen.poll() is None
    assert schedulers.lease.standing().token == token + 1

    other.terminate()  # and now it is its turn again
    other.wait(30)
    schedulers.fires_after(schedulers.fired_until())
    schedulers.check()


def test_a_leader_that_ends_lets_the_next_one_begin_at_once(schedulers: Schedulers) -> None:
    leader = schedulers.start()
    schedulers.stand_by()
    schedulers.fires_after(datetime.min.replace(tzinfo=UTC))
    leader.terminate()
    assert leader.wait(30) == 0
    ended = time.monotonic()
    schedulers.fires_after(schedulers.fired_until())
    assert time.monotonic() - ended < 5.5  # its lease would have lasted for six
    assert [process.leads for process in schedulers.lease.processes()] == [True]
    schedulers.check()


def test_a_server_that_is_cut_off_costs_no_tick(schedulers: Schedulers, proxy: TcpProxy) -> None:
    schedulers.start(via=proxy.port)
    schedulers.fires_after(datetime.min.replace(tzinfo=UTC))
    proxy.mode = Mode.REFUSE
    eventually(lambda: "Ticks wait for the job store" in schedulers.fleet.log(), timeout=30.0)
    before = datetime.now(UTC)
    eventually(lambda: datetime.now(UTC) > before + timedelta(seconds=3))
    proxy.mode = Mode.FORWARD
    schedulers.fires_after(before + timedelta(seconds=3), timeout=30.0)
    eventually(lambda: all(row.cursor > before for row in schedulers.rows.all()))
    assert schedulers.fleet.log().count("Ticks wait for the job store:") == 1
    schedulers.check()


@pytest.mark.parametrize(
    ("fault", "words"), [("it is wedged", "its engine has not moved"), ("it is broken", "IndexError")]
)
def test_one_that_cannot_go_on_ends_itself_and_another_takes_over(
    schedulers: Schedulers, fault: str, words: str
) -> None:
    deaf = schedulers.start(fault)
    schedulers.stand_by()
    eventually(lambda: deaf.poll() is not None, timeout=30.0)
    assert deaf.returncode == 70
    assert f"The scheduler ends itself: {words}" in schedulers.fleet.log()
    schedulers.fires_after(datetime.min.replace(tzinfo=UTC), timeout=30.0)
    schedulers.fires_after(schedulers.fired_until())
    schedulers.check()


def test_without_a_server_it_ends_with_a_sentence(schedulers: Schedulers, proxy: TcpProxy) -> None:
    proxy.mode = Mode.REFUSE
    process = schedulers.begin(via=proxy.port)
    assert process.wait(30) == 1
    assert "Traceback" not in schedulers.fleet.log()
    assert schedulers.fleet.log().strip()
