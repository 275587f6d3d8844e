"""`callboard scheduler` as a process: it fires, it ends, it says what is missing; and it is part of `up`."""

import os
import signal
import socket
import sys

import pytest

from database.engine import make_engine
from database.migrations import migrate
from database.scheduler_lease import SchedulerLease
from tests.control.running import callboard, command, refused, running
from tests.waiting import eventually

SYNC = ("user_id=u1", "account_id=a1")


@pytest.fixture
def engine(joined):
    """The database of `joined`."""
    engine = make_engine(f"sqlite:///{joined['CALLBOARD_HOME']}/callboard.db")
    migrate(engine)
    yield engine
    engine.dispose()


def leader(lease):
    return next((one for one in lease.processes() if one.leads), None)


@pytest.mark.parametrize("argv", [command("scheduler"), [sys.executable, "-m", "scheduling"]])
def test_it_fires_what_is_due_and_ends_when_it_is_told(joined, engine, board, argv):
    callboard(joined, "schedules", "add", "quick", "email_sync", *SYNC, "--every", "1s")
    lease = SchedulerLease(engine)
    with running(argv, joined) as scheduler:
        scheduler.until(lambda: leader(lease))
        scheduler.until(lambda: board.stats(["email-sync"])[0].waiting)
        assert callboard(joined, "health", "scheduler").returncode == 0
        history = callboard(joined, "schedules", "history", "quick").stdout
        assert "enqueued" in history

        scheduler.send(signal.SIGTERM)
        assert scheduler.ended() == 0
    assert not lease.standing().held  # so that the next one need not wait


def test_without_one_health_and_doctor_say_so(joined, engine):
    callboard(joined, "schedules", "add", "quick", "email_sync", *SYNC, "--every", "1s")

    assert "no scheduler on" in refused(callboard(joined, "health", "scheduler"))
    assert "✗ scheduler: none is alive" in callboard(joined, "doctor").stdout


def test_a_missing_server_is_one_sentence(env, engine, joined, closed_port):
    away = {**joined, "REDIS_URL": f"redis://127.0.0.1:{closed_port}"}

    assert str(closed_port) in refused(callboard(away, "scheduler"))


def test_a_missing_database_is_one_sentence(joined, closed_port):
    away = {**joined, "DATABASE_URL": f"postgresql://u:p@127.0.0.1:{closed_port}/x"}

    assert "database" in refused(callboard(away, "scheduler")).lower()


@pytest.mark.faults
def test_up_starts_one_and_starts_it_again_when_it_is_killed(env):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    env = {**env, "CALLBOARD_API__PORT": port, "START_WORKERS": "false"}
    with running(command("up"), env) as board:
        board.line_with("schedules ")
        engine = make_engine(f"sqlite:///{env['CALLBOARD_HOME']}/callboard.db")
        lease = SchedulerLease(engine)
        first = board.until(lambda: leader(lease))

        os.kill(first.pid, signal.SIGKILL)
        board.line_with("scheduler was ended by SIGKILL")
        board.until(lambda: (now := leader(lease)) and now.pid != first.pid)
        assert "✓ scheduler: " in callboard(env, "doctor").stdout

        board.send(signal.SIGINT)
        assert board.ended(40) == 0
    assert eventually(lambda: not lease.standing().held)
    engine.dispose()
