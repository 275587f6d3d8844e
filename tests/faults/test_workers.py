"""Workers that are killed, stopped, paused or kept busy: no job is lost, none runs twice at once."""

import time
from collections import Counter

import orjson
import pytest
import redis
from sqlalchemy import Engine

from database.audit import AuditReader
from jobs.model import NewJob, Outcome
from jobs.states import JobState
from tests.faults.fleet import Fleet
from tests.waiting import eventually

pytestmark = pytest.mark.faults


def test_a_killed_workers_job_runs_elsewhere_and_nothing_else_is_lost(fleet: Fleet, engine: Engine) -> None:
    victim = fleet.start()
    fleet.send("slow", [1])
    eventually(lambda: ("started", 1) in fleet.ledger())
    survivor = fleet.start()
    fleet.send("quick", range(200))
    victim.kill()
    eventually(lambda: fleet.ledger()["started", 1] == 2, timeout=15)
    fleet.open_gate()
    eventually(lambda: fleet.completed("slow-1", *(f"quick-{n}" for n in range(200))), timeout=15)

    job = fleet.job("slow-1")
    assert (job.attempts, job.lost_leases) == (2, 1)
    assert [pid for word, n, pid in fleet.runs() if word == "ended"] == [survivor.pid]
    lost = [event for event in fleet.events() if event.outcome is Outcome.LOST]
    assert ("slow-1", 1, victim.owner) in [(event.job_id, event.attempt, event.owner) for event in lost]
    assert len({event.job_id for event in lost}) == len(lost)
    reader = AuditReader(engine)
    eventually(lambda: [row.outcome for row in reader.attempts("slow-1")] == ["lost", "completed"])
    eventually(lambda: reader.count_executions() == 202 + len(lost) - 1)


def test_a_paused_workers_job_runs_elsewhere_and_its_late_settlement_is_refused(fleet: Fleet) -> None:
    paused = fleet.start()
    fleet.send("slow", [1])
    eventually(lambda: ("started", 1) in fleet.ledger())
    other = fleet.start()
    paused.pause()
    eventually(lambda: fleet.ledger()["started", 1] == 2, timeout=15)
    fleet.open_gate()
    eventually(lambda: fleet.completed("slow-1"))
    finished = fleet.job("slow-1")

    paused.resume()

    eventually(lambda: fleet.ledger()["ended", 1] == 2)
    eventually(lambda: "Job slow-1 was run elsewhere: its lease had been lost." in fleet.log())
    assert fleet.job("slow-1") == finished
    assert [event.owner for event in fleet.events()] == [paused.owner, other.owner]


def test_a_stop_hands_back_what_was_not_started_and_lets_the_rest_finish(fleet: Fleet) -> None:
    stopping = fleet.start(threads=2)
    fleet.send("slow", [1, 2])
    eventually(lambda: fleet.ledger().total() == 2)
    fleet.send("quick", range(20))
    assert fleet.store.stats(["quick"])[0].waiting == 20, "both threads are taken"
    other = fleet.start()
    eventually(lambda: fleet.completed(*(f"quick-{n}" for n in range(20))))

    stopping.terminate()
    assert not stopping.ended()
    fleet.open_gate()

    eventually(stopping.ended)
    assert fleet.completed("slow-1", "slow-2")
    assert fleet.ledger()["started", 1] == fleet.ledger()["started", 2] == 1
    assert [worker.owner for worker in fleet.store.workers()] == [other.owner]
    assert fleet.job("slow-1").attempts == 1


def test_a_job_that_runs_longer_than_the_stop_may_take_is_handed_back(fleet: Fleet) -> None:
    stopping = fleet.start(stop_s=1.0)
    fleet.send("slow", [1])
    eventually(lambda: ("started", 1) in fleet.ledger())
    stopping.terminate()
    eventually(stopping.ended, timeout=8)

    job = fleet.job("slow-1")
    assert (job.state, job.attempts, job.interruptions, job.lost_leases) == (JobState.DELAYED, 0, 1, 0)
    assert fleet.store.workers() == []
    (event,) = fleet.events()
    assert (event.outcome, event.attempt) == (Outcome.INTERRUPTED, 1)

    fleet.open_gate()
    fleet.start()
    eventually(lambda: fleet.completed("slow-1"))
    assert fleet.job("slow-1").attempts == 1


def test_a_job_that_holds_the_interpreter_lock_longer_than_its_lease_is_not_taken_for_dead(
    fleet: Fleet,
) -> None:
    busy = fleet.start(lease_s=1.0)
    fleet.start(lease_s=1.0)
    fleet.send("hog", [1], seconds=3)
    eventually(lambda: ("started", 1) in fleet.ledger())
    since, lost = time.monotonic(), 0

    def ended() -> bool:
        nonlocal lost
        lost += fleet.store.reclaim(max_lost=3)  # as every other worker does all the time
        return ("ended", 1) in fleet.ledger()

    eventually(ended, timeout=40)
    assert time.monotonic() - since > 2.0, "no test unless it held the lock for two leases"
    assert lost == 0
    eventually(lambda: fleet.completed("hog-1"))
    assert fleet.ledger() == Counter({("started", 1): 1, ("ended", 1): 1})
    assert (fleet.job("hog-1").lost_leases, fleet.job("hog-1").attempts) == (0, 1)
    assert not busy.ended()


def test_a_job_that_kills_its_worker_every_time_is_dead_lettered(fleet: Fleet, engine: Engine) -> None:
    fleet.send("deadly", [1])
    for life in range(1, 4):
        fleet.start()
        eventually(lambda life=life: fleet.ledger()["started", 1] == life, timeout=15)
    fleet.start()
    eventually(lambda: fleet.job("deadly-1").state is JobState.FAILED, timeout=15)
    job = fleet.job("deadly-1")
    assert (job.lost_leases, job.attempts, job.dead_letter) == (3, 3, "dead-letter")
    assert b"LeaseLost" in (job.record or b"")
    eventually(lambda: len(AuditReader(engine).attempts("deadly-1")) == 3, timeout=15)
    assert fleet.ledger().total() == 3


def test_garbage_in_a_payload_is_dead_lettered_and_its_neighbours_run(fleet: Fleet) -> None:
    fleet.send("quick", range(5))
    with redis.Redis.from_url(fleet.store.address.url) as client:
        client.hset(fleet.store.keys.of("payload"), "quick-2", b"\x00\xff garbage")
    fleet.start()
    eventually(lambda: fleet.completed("quick-0", "quick-1", "quick-3", "quick-4"))
    eventually(lambda: fleet.job("quick-2").state is JobState.FAILED)
    assert b"is no message" in (fleet.job("quick-2").record or b"")
    assert "garbage" not in fleet.log()
    assert len(fleet.events()) == 5


def test_a_job_of_a_newer_release_waits_for_a_worker_that_knows_it(fleet: Fleet) -> None:
    old = fleet.start()
    fleet.send("newcomer", [1], queue="quick")
    fleet.send("quick", [2])
    eventually(lambda: fleet.completed("quick-2"))
    eventually(lambda: fleet.job("newcomer-1").deliveries >= 1)
    assert fleet.job("newcomer-1").state is JobState.DELAYED
    fleet.start(release="newcomer")
    old.terminate()
    eventually(lambda: fleet.completed("newcomer-1"), timeout=15)
    assert fleet.job("newcomer-1").attempts == 1


def test_a_killed_worker_gives_back_at_once_what_it_held_and_had_not_started(fleet: Fleet) -> None:
    """Short jobs are held ahead of the threads; with one attempt each, none may be spent that did not run."""
    jobs = [
        NewJob(f"quick-{n}", "quick", "quick", orjson.dumps([[], {"n": n}, {}, 0]), max_attempts=1)
        for n in range(4_000)
    ]
    fleet.store.enqueue(jobs)
    victim = fleet.start(lease_s=60.0, threads=4)
    eventually(lambda: fleet.store.stats(["quick"])[0].completed_total > 500, timeout=20)
    victim.kill()

    # Long before the lease of a minute is over.
    eventually(lambda: fleet.store.stats(["quick"])[0].active == 0, timeout=10)
    after = fleet.store.stats(["quick"])[0]
    assert after.waiting > 0, "the worker was killed too late for this test to say anything"
    fleet.start()
    eventually(lambda: fleet.store.stats(["quick"])[0].waiting == 0, timeout=20)
    final = eventually(lambda: (s := fleet.store.stats(["quick"])[0]).active == 0 and s, timeout=10)
    assert final.completed_total + final.failed_total == len(jobs)
    lost = [
        job
        for job in fleet.store.list_jobs("quick", JobState.FAILED, limit=1_000)
        if b"LeaseLost" in (job.record or b"")
    ]
    assert len(lost) == final.failed_total
    ran = {f"quick-{n}" for word, n, _ in fleet.runs()}
    spent_without_a_run = {job.id for job in lost} - ran
    assert len(spent_without_a_run) <= 4, "only what a thread had may count as run"
