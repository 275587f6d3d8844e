"""Workers that are stopped, paused or kept busy: no job is lost, none runs twice at once."""

import time
from functools import partial

import pytest

from broker.worker.stop import END_S
from tests.faults.fleet import Fleet
from tests.waiting import eventually

pytestmark = pytest.mark.faults


def test_a_stop_hands_back_what_was_not_started_and_lets_the_rest_finish(fleet: Fleet) -> None:
    stopping = fleet.start(threads=2)
    fleet.send("slow", [1, 2])
    eventually(lambda: len(fleet.runs()) == 2)
    quick = fleet.send("quick", range(20))
    assert fleet.store.stats(["quick"])[0].waiting == 20, "both threads are taken"
    other = fleet.start()
    eventually(lambda: fleet.completed(*quick))

    stopping.terminate()
    assert not stopping.ended()
    fleet.open_gate()

    eventually(stopping.ended)
    assert fleet.completed("slow-1", "slow-2")
    assert [worker.owner for worker in fleet.store.workers()] == [other.owner]
    balance = fleet.balance()
    assert (balance.leases_lost, len(fleet.runs())) == (0, 22)


def test_clocks_of_hosts_that_are_wrong_by_minutes_change_nothing(fleet: Fleet) -> None:
    fast, slow = fleet.begin(skew_s=600.0), fleet.begin(skew_s=-600.0)
    workers = [fleet.arrived(fast), fleet.arrived(slow)]
    fleet.send("slow", range(6))  # more than the threads of one
    fleet.send("work", range(20), fails=1)
    since = time.monotonic()
    due = fleet.send("quick", range(20), delay_ms=1_000)
    eventually(lambda: fleet.completed(*due))
    assert all(0.99 < run.start - since < 30.0 for run in fleet.runs(*due)), "on time, and not minutes off"
    assert fleet.balance_after(fleet.open_gate).leases_lost == 0
    assert {run.pid for run in fleet.runs()} == {worker.pid for worker in workers}


def test_a_running_job_that_is_cancelled_under_load_ends_in_under_a_second(fleet: Fleet) -> None:
    fleet.start(threads=6)
    long, took = fleet.send("work", range(3), ms=600_000), list[float]()
    eventually(lambda: len(fleet.runs(*long)) == 3)
    quick = fleet.send("quick", range(15_000))
    eventually(lambda: fleet.store.stats(["quick"])[0].completed > 100)
    for job_id in long:
        since = time.monotonic()
        fleet.store.cancel([job_id])
        eventually(partial(fleet.cancelled, job_id))
        took.append(time.monotonic() - since)
    assert fleet.store.stats(["quick"])[0].waiting > 0, "there was load all the time"
    assert min(took) < 1.0, took  # a machine that is busy with other things delays some
    assert [run.word for run in fleet.runs(*long)] == ["stopped"] * 3
    fleet.remove(quick)  # the rest is more of the same
    fleet.balance()


def test_a_job_that_runs_too_long_is_interrupted_and_runs_elsewhere_only_then(fleet: Fleet) -> None:
    stopping = fleet.start(stop_s=1.0, queues=["work"])
    fleet.send("work", [1], ms=4_000)
    eventually(lambda: fleet.runs("work-1"))
    fleet.start()
    stopping.terminate()
    eventually(stopping.ended)
    eventually(lambda: fleet.completed("work-1"))
    cut, whole = fleet.runs("work-1")
    assert (cut.word, whole.word) == ("stopped", "ended")
    assert cut.end is not None
    assert cut.end <= whole.start
    assert (fleet.job("work-1").attempts, fleet.balance().leases_lost) == (1, 0)


def test_a_stop_ends_in_time_although_a_job_holds_the_interpreter_lock(fleet: Fleet) -> None:
    """Nothing in the process can move then, not even the handler of the signal."""
    stopping = fleet.start(stop_s=0.5, lease_s=30.0)
    fleet.send("hog", [1], seconds=60)
    eventually(lambda: fleet.runs("hog-1"))
    since = time.monotonic()
    stopping.terminate()
    eventually(stopping.ended, timeout=0.5 + END_S + 20.0)
    assert time.monotonic() - since > 0.5
    eventually(lambda: fleet.job("hog-1").lost_leases == 1)
    fleet.remove(["hog-1"])
    fleet.balance()
