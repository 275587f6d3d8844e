"""`callboard scheduler` as a process: it fires, it ends, it says what is missing; and it is part of `up`."""

import json
import os
import signal
import sys
from datetime import UTC, datetime

import pytest

from database.engine import make_engine
from database.migrations import migrate
from database.schedule_history import ScheduleHistory
from database.scheduler_lease import SchedulerLease
from database.schedules import Schedules, StoredSchedule
from tests.control.running import callboard, command, refused, running
from tests.ports import free_port
from tests.waiting import eventually

QUICK = {
    "name": "quick",
    "actor": "email_sync",
    "every": "1s",
    "args": {"user_id": "u1", "account_id": "a1"},
}


@pytest.fixture
def engine(joined):
    """The database of `joined`."""
    engine = make_engine(f"sqlite:///{joined['CALLBOARD_HOME']}/callboard.db")
    migrate(engine)
    yield engine
    engine.dispose()


def quick(engine):
    """A schedule that fires each second."""
    now = datetime.now(UTC)
    row = StoredSchedule(
        "quick", "runtime", json.dumps(QUICK), 1, True, now, now, "ann", now, "ann", "f", "t"
    )
    assert Schedules(engine).add(row)


def leader(lease):
    return next((one for one in lease.processes() if one.leads), None)


def handed_over(board):
    """What is there for a worker; one that is early is delayed until a worker looks."""
    (queue,) = board.stats(["email-sync"])
    return queue.waiting + queue.delayed


@pytest.mark.parametrize("argv", [command("scheduler"), [sys.executable, "-m", "scheduling"]])
def test_it_fires_what_is_due_and_ends_when_it_is_told(joined, engine, board, argv):
    quick(engine)
    lease, history = SchedulerLease(engine), ScheduleHistory(engine)
    with running(argv, joined) as scheduler:
        scheduler.until(lambda: leader(lease))
        scheduler.until(lambda: handed_over(board))
        scheduler.until(lambda: [one for one in history.of("quick", 9) if one.outcome == "enqueued"])

        scheduler.send(signal.SIGTERM)
        assert scheduler.ended() == 0
    assert not lease.standing().held  # so that the next one need not wait


def test_without_one_health_says_so(joined, engine):
    assert "no scheduler on" in refused(callboard(joined, "health", "scheduler"))


def test_a_missing_server_is_one_sentence(env, engine, joined, closed_port):
    away = {**joined, "REDIS_URL": f"redis://127.0.0.1:{closed_port}"}

    assert str(closed_port) in refused(callboard(away, "scheduler"))


def test_a_missing_database_is_one_sentence(joined, closed_port):
    away = {**joined, "DATABASE_URL": f"postgresql://u:p@127.0.0.1:{closed_port}/x"}

    assert "database" in refused(callboard(away, "scheduler")).lower()


@pytest.mark.faults
def test_up_starts_one_and_starts_it_again_when_it_is_killed(env):
    env = {**env, "CALLBOARD_API__PORT": str(free_port()), "START_WORKERS": "false"}
    with running(command("up"), env) as board:
        board.line_with("schedules ")
        engine = make_engine(f"sqlite:///{env['CALLBOARD_HOME']}/callboard.db")
        lease = SchedulerLease(engine)
        first = board.until(lambda: leader(lease))

        os.kill(first.pid, signal.SIGKILL)
        board.line_with("scheduler was ended by SIGKILL")
        # It takes over when the lease is over: tests/faults/test_schedulers_after_a_kill.py.
        board.until(lambda: [one for one in lease.processes() if one.pid != first.pid])
        assert callboard(env, "health", "scheduler").returncode == 0

        board.send(signal.SIGINT)
        assert board.ended() == 0
    assert eventually(lambda: not lease.standing().held, timeout=60)
    engine.dispose()
