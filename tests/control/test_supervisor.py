"""What `callboard up` does with its children: restart, drain, hurry, and never leave one behind."""

import json
import os
import re
import signal
import sys

import psutil
import pytest

from control.supervisor.lock import AlreadyUp, only_one
from tests.control.running import Running, running
from tests.control.supervised import BROKEN, COUNTING, POLITE, STUBBORN
from tests.waiting import eventually

pytestmark = pytest.mark.faults


def supervised(stop_limit: float = 20, **children: str):
    argv = [sys.executable, "-m", "tests.control.supervised", str(stop_limit), json.dumps(children)]
    return running(argv)


def pid_of(run: Running, name: str, times: int = 1) -> int:
    line = run.line_with("pid ", times) if times > 1 else run.line_with(f"{name:<9} │ pid ")
    return int(line.rpartition(" ")[2])


def test_each_line_carries_the_name_of_who_wrote_it():
    with supervised(api=POLITE, worker=POLITE) as run:
        run.line_with("api       │ pid")
        run.line_with("worker    │ pid")
        run.line_with("callboard │ ready")


def test_a_killed_child_is_started_again():
    with supervised(worker=POLITE) as run:
        first = pid_of(run, "worker")

        os.kill(first, signal.SIGKILL)

        run.line_with("worker was ended by SIGKILL")
        assert pid_of(run, "worker", times=2) != first


def test_a_child_that_keeps_dying_is_started_ever_more_rarely():
    with supervised(worker=BROKEN) as run:
        for wait in (1, 2):
            line = run.line_with(f"; again in {wait} s")
            assert re.search(r"worker ended with code 3 after \d+ s; again", line)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_lets_children_finish(number):
    with supervised(api=POLITE, worker=POLITE) as run:
        run.line_with("pid ", times=2)

        run.send(number)

        assert run.ended() == 0
        run.line_with("drained", times=2)
        run.line_with("stopping api, worker")
        assert run.lines[-1].endswith("stopped")


def test_ctrl_c_in_the_terminal_reaches_the_supervisor_alone():
    with supervised(worker=POLITE) as run:
        child = pid_of(run, "worker")

        assert os.getpgid(child) != os.getpgid(run.process.pid)
        assert os.getsid(child) != os.getsid(run.process.pid)


def test_a_child_that_does_not_stop_in_time_is_ended():
    with supervised(stop_limit=0.3, worker=STUBBORN) as run:
        child = pid_of(run, "worker")

        run.send(signal.SIGTERM)

        assert run.ended() == 0
        run.line_with("ending worker after 0 s")
        eventually(lambda: not psutil.pid_exists(child))


def test_a_second_ctrl_c_hurries():
    with supervised(stop_limit=60, worker=STUBBORN) as run:
        child = pid_of(run, "worker")
        run.send(signal.SIGINT)
        run.line_with("worker    │ no")

        run.send(signal.SIGINT)

        assert run.ended() == 0
        run.line_with("ending worker as asked")
        eventually(lambda: not psutil.pid_exists(child))


def test_children_of_a_killed_supervisor_are_told_to_stop_once(tmp_path):
    with supervised(worker=COUNTING.replace("FILE", repr(str(tmp_path / "told")))) as run:
        child = pid_of(run, "worker")

        run.send(signal.SIGKILL)

        eventually(lambda: not psutil.pid_exists(child))
    assert (tmp_path / "told").read_text() == "SIGTERM "


def test_only_one_supervisor_runs_in_a_home(tmp_path):
    refused = pytest.raises(AlreadyUp, match=f"process {os.getpid()}.*dramatiq actors")
    with only_one(tmp_path), refused, only_one(tmp_path):
        pytest.fail("two held the lock")

    with only_one(tmp_path):
        pass  # it was let go
