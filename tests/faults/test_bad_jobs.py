"""Jobs that nobody would want to have as neighbours: good ones beside them are done all the same."""

from functools import partial

import pytest
import redis

from jobs.model import NewJob, Scope
from jobs.states import JobState
from tests.faults.fleet import Fleet
from tests.waiting import eventually

pytestmark = pytest.mark.faults


def test_a_job_that_kills_its_process_is_dead_lettered_and_its_neighbours_are_not(fleet: Fleet) -> None:
    neighbours = fleet.send("slow", [1, 2])
    first = fleet.start(lease_s=3.0)
    eventually(lambda: len(fleet.runs()) == 2)
    fleet.send("deadly", [1], attempts=10)
    eventually(first.ended)
    only_one_attempt = fleet.send("quick", range(50), attempts=1)
    fleet.open_gate()
    for life in (2, 3):  # as a supervisor would
        worker = fleet.start(lease_s=3.0)
        eventually(worker.ended)
        assert len(fleet.runs("deadly-1")) == life
    fleet.start(lease_s=3.0)
    eventually(lambda: fleet.completed(*neighbours, *only_one_attempt))

    job = fleet.job("deadly-1")
    assert (job.state, job.lost_leases, job.attempts) == (JobState.FAILED, 3, 3)
    assert b"LeaseLost" in (job.record or b"")
    # They died with it once. From then on each ran alone, which `balance` sees to.
    assert {fleet.job(job_id).attempts for job_id in neighbours} == {2}
    assert fleet.balance().leases_lost == 5


def test_what_was_held_and_not_started_when_its_worker_was_killed_has_spent_nothing(fleet: Fleet) -> None:
    """Short jobs are held ahead of the threads. With one attempt each, none may be spent that did not run."""
    ids = fleet.send("quick", range(2_000), attempts=1)
    victim = fleet.begin(trap="in the actor", nth=500, lease_s=600.0, threads=4)
    eventually(lambda: victim.poll() is not None)
    # Long before the lease of ten minutes is over.
    eventually(lambda: fleet.store.stats(["quick"])[0].active == 0)
    assert fleet.store.stats(["quick"])[0].waiting > 1_000
    fleet.start()
    balance = fleet.balance()
    assert balance.accepted == len(ids)
    failed = {job_id for job_id, job in fleet.jobs().items() if job.state is JobState.FAILED}
    assert len(failed) == balance.leases_lost
    assert len(failed - {run.job_id for run in fleet.runs()}) <= 4, "only what a thread had may count as run"


def test_garbage_in_the_structures_of_a_queue_is_dead_lettered_and_its_neighbours_run(fleet: Fleet) -> None:
    good = fleet.send("quick", range(5))
    fleet.store.enqueue([NewJob(f"bad-{n}", "quick", "quick", b"\x00 garbage") for n in range(4)])
    keys = fleet.store.keys
    with redis.Redis.from_url(fleet.url()) as client:
        client.hset(keys.of("jobs"), "bad-1", b"\xff garbage")
        client.hset(keys.of("meta"), "bad-2", b"\xc1 garbage")
        client.hdel(keys.of("jobs"), "bad-3")
        client.zadd(keys.of("waiting"), {"quick\x1f05\x1f\x1f garbage": 0, "garbage": 0})
        client.hset(keys.of("lines"), "garbage", "garbage")
        client.zadd(keys.of("order"), {"quick\x1f05\x1fgarbage": 0})
        client.zadd(keys.of("delayed"), {"quick\x1fgarbage": 0})
        client.zadd(keys.of("clock"), {"quick": 1})
    fleet.start()
    eventually(lambda: fleet.completed(*good))
    for job_id in ("bad-0", "bad-1", "bad-2"):
        eventually(partial(fleet.failed, job_id))
    assert b"neither signed nor encrypted" in (fleet.job("bad-0").record or b"")
    assert " garbage" not in fleet.log()
    after = fleet.send("quick", range(10, 15))
    eventually(lambda: fleet.completed(*after))


def test_a_job_of_a_newer_release_waits_for_a_worker_that_knows_it(fleet: Fleet) -> None:
    old = fleet.start()
    fleet.send("newcomer", range(3), queue="quick")
    fleet.send("quick", range(10))
    eventually(lambda: fleet.completed(*(f"quick-{n}" for n in range(10))))
    eventually(lambda: fleet.job("newcomer-1").deliveries >= 2)
    assert fleet.job("newcomer-1").attempts <= 1, "what the old one hands back has spent nothing"
    new = fleet.start(release="newcomer")
    eventually(lambda: fleet.completed(*(f"newcomer-{n}" for n in range(3))))
    assert not old.ended()
    fleet.balance()
    assert {run.pid for run in fleet.runs("newcomer-0", "newcomer-1", "newcomer-2")} == {new.pid}
    assert {fleet.job(f"newcomer-{n}").attempts for n in range(3)} == {1}


def test_the_whole_fleet_dies_and_what_ran_is_at_the_head_when_it_comes_back(fleet: Fleet) -> None:
    ran = fleet.send("slow", range(4))
    hosts = fleet.start_two(threads=2, lease_s=2.0)
    eventually(lambda: len(fleet.runs()) == 4)
    fleet.store.adjust(Scope("slow"), {"paused": True})  # until the leases have ended
    others = fleet.send("quick", range(5_000), queue="slow")
    for host in hosts:
        host.lose_host()
    fleet.open_gate()
    # The two leases do not end at the same moment.
    eventually(lambda: not (fleet.store.reclaim(3) or fleet.store.stats(["slow"])[0].active))
    fleet.store.adjust(Scope("slow"), {"paused": None})
    fleet.start(threads=8)
    eventually(lambda: len(fleet.runs()) > 500)
    assert {run.job_id for run in fleet.runs()[4:8]} == set(ran)

    fleet.remove(others[1_000:])  # the rest is more of the same
    assert fleet.completed(*ran)
    assert fleet.balance().leases_lost == 4
