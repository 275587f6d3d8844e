"""While two releases are at work: newer jobs are left to newer workers, and not for ever."""

from dataclasses import replace
from typing import Any

import dramatiq
import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import fake
from jobs.errors import StoreUnavailable
from jobs.model import WorkerInfo
from jobs.states import JobState
from middleware import releases
from middleware.releases import NewerWorkers
from tests.fundamentals.stage import make_app
from tests.middleware.releases import Fleet, hand_over
from tests.middleware.steps import error_of, events, job_of
from tests.waiting import eventually


def test_an_older_worker_hands_a_newer_job_back_and_no_attempt_is_spent(fleet: Fleet) -> None:
    new = fleet(2)

    @actor(queue="sync", actor_name="sync")
    def sync_of_release_2(account_id: str) -> None:
        raise AssertionError("it does not run here")

    with fake(new.broker) as sent:
        message = sync_of_release_2.send("a1")
    old = fleet(1)
    ran = []

    @actor
    def sync(account_id: str) -> None:
        ran.append(account_id)

    with fake(old.broker):
        jobs = hand_over(sent, old)
        for _ in range(5):
            assert jobs.run_all() == 1
            job = job_of(jobs, message)
            assert (job.state, job.attempts) == (JobState.DELAYED, 0)
            sent.advance(3)
    assert ran == []
    assert events(jobs) == []


def test_when_no_newer_worker_came_it_is_taken_after_all(fleet: Fleet, no_waiting: None) -> None:
    """A release that was rolled back must not leave its jobs behind."""
    new = fleet(2)
    actor(queue="sync", actor_name="sync")(lambda account_id: None)
    with fake(new.broker) as sent:
        message = new.broker.get_actor("sync").send("a1")
    old = fleet(1)
    ran = []

    @actor
    def sync(account_id: str) -> None:
        ran.append(account_id)

    with fake(old.broker):
        jobs = hand_over(sent, old)
        jobs.run_all()
    assert ran == ["a1"]
    assert job_of(jobs, message).state is JobState.COMPLETED


def test_but_not_when_its_arguments_are_of_a_newer_version(fleet: Fleet, no_waiting: None) -> None:
    new = fleet(2)

    @actor(queue="sync", actor_name="sync", version=2)
    def sync_of_release_2(account: str) -> None: ...

    with fake(new.broker) as sent:
        message = sync_of_release_2.send("a1")
    old = fleet(1)

    @actor
    def sync(account_id: str) -> None: ...

    with fake(old.broker):
        jobs = hand_over(sent, old)
        jobs.run_all()
    job = job_of(jobs, message)
    assert (job.state, job.dead_letter) == (JobState.FAILED, "dead-letter")
    assert error_of(jobs, message)["message"] == (
        "sync was sent by release 2 with version 2 of its arguments; this is release 1 with version 1, "
        "and no worker of a newer one is left."
    )


A_WORKER = WorkerInfo("other", "host", 1, "0.1.0+2", 4, ("sync",), 0)


@pytest.mark.parametrize(
    ("worker", "waits"),
    [
        (A_WORKER, True),
        (replace(A_WORKER, version="0.2.0+3"), True),
        (replace(A_WORKER, version="0.1.0+1"), False),
        (replace(A_WORKER, version="0.1.0"), False),  # of a release that numbers nothing
        (replace(A_WORKER, queues=("other",)), False),
        (replace(A_WORKER, owner="test"), False),  # this one itself
    ],
)
def test_after_a_minute_it_waits_on_only_while_a_newer_worker_serves_its_queue(
    fleet: Fleet, no_waiting: None, worker: WorkerInfo, waits: bool
) -> None:
    class Job:
        message_id, queue_name, owner = "j", "sync", "test"

    job: Any = Job()
    assert NewerWorkers(lambda: [worker]).may_come(job, 2) is waits


def test_while_the_registry_cannot_be_asked_it_waits(no_waiting: None) -> None:
    def away() -> list[WorkerInfo]:
        raise StoreUnavailable("away")

    class Job:
        message_id, queue_name, owner = "j", "sync", "test"

    job: Any = Job()
    assert NewerWorkers(away).may_come(job, 2)


def test_the_registry_is_asked_seldom(no_waiting: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Job:
        queue_name, owner = "sync", "test"

        def __init__(self, message_id: str) -> None:
            self.message_id = message_id

    workers = NewerWorkers(lambda: asked.append(1) or [])  # type: ignore[func-returns-value]
    for number in range(200):
        one: Any = Job(str(number))
        workers.may_come(one, 2)
    assert len(asked) == 1


class Clock:
    """Jobs of release 2 as a worker of an older one meets them, at times of the test's own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        self.there: list[WorkerInfo] = [A_WORKER]
        monkeypatch.setattr("middleware.releases.time.monotonic", lambda: self.now)
        self.newer = NewerWorkers(lambda: self.there)

    def may_come(self, message_id: str = "j", queue: str = "sync", release: int = 2) -> bool:
        class Job:
            owner, queue_name = "test", queue

        job: Any = Job()
        job.message_id = message_id
        return self.newer.may_come(job, release)


def test_after_a_rollback_each_of_many_jobs_runs_a_minute_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than are remembered one by one, and none of them met twice by the same process."""
    clock = Clock(monkeypatch)
    assert clock.may_come("last seen")
    clock.there = []
    clock.now += releases.NEWER_S + releases.ASK_EVERY_S
    assert not any(clock.may_come(f"job-{number}") for number in range(releases.MOST_MET + 10))


def test_a_newer_worker_that_restarts_late_in_a_deploy_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    for _ in range(40):  # two minutes
        assert clock.may_come()
        clock.now += 3.0
    clock.there = []
    for _ in range(15):
        assert clock.may_come(), "a restart takes under a minute"
        clock.now += 3.0
    clock.there = [A_WORKER]
    clock.now += 10.0
    assert clock.may_come()
    clock.there = []
    clock.now += 59.0
    assert clock.may_come()


def test_what_it_remembers_of_newer_releases_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "MOST_MET", 50)
    clock = Clock(monkeypatch)
    for number in range(200):
        clock.may_come(release=number + 2)
    assert len(clock.newer._met) == 50


def test_two_releases_on_the_real_server_each_take_their_own(
    monkeypatch: pytest.MonkeyPatch, home: Any, redis_url: str, namespace: str
) -> None:
    monkeypatch.setattr(releases, "NEWER_DELAY_MS", 100)
    shared = {"home": home, "redis": {"url": redis_url, "namespace": namespace}}
    ran: list[tuple[int, str]] = []

    def release(number: int, options: dict[str, Any], function: Any) -> tuple[App, Any]:
        app = make_app(monkeypatch, release=number, **shared)
        return app, actor(queue="sync", actor_name="sync", **options)(function)

    old, sync_1 = release(1, {}, lambda account: ran.append((1, account)))
    lift: Any = {"version": 2, "upcasts": {1: lambda account: {"account_id": account}}}
    new, sync_2 = release(2, lift, lambda *, account_id: ran.append((2, account_id)))
    workers = [dramatiq.Worker(old.broker, worker_threads=2, worker_timeout=50)]
    workers[0].start()
    try:
        newer = [sync_2.send(account_id=f"new-{number}") for number in range(5)]
        first = sync_1.send("old")
        eventually(lambda: (1, "old") in ran)
        eventually(lambda: all(found(new, one).state is not JobState.ACTIVE for one in newer))
        assert ran == [(1, "old")], "the older worker leaves them alone"

        workers.append(dramatiq.Worker(new.broker, worker_threads=2, worker_timeout=50))
        workers[1].start()
        eventually(lambda: len(ran) == 6)
        assert sorted(ran[1:]) == [(2, f"new-{number}") for number in range(5)]
        eventually(lambda: all(found(new, one).state is JobState.COMPLETED for one in (*newer, first)))
        assert {found(new, one).attempts for one in newer} == {1}
        eventually(lambda: {worker.version.partition("+")[2] for worker in new.store.workers()} == {"1", "2"})

        workers.pop(0).stop(timeout=10_000)
        sync_1.send("late")  # by a producer that is not deployed yet
        eventually(lambda: (2, "late") in ran)
    finally:
        for worker in workers:
            worker.stop(timeout=10_000)
        for app in (old, new):
            app.broker.close()
            app.engine().dispose()


def found(app: App, message: Any) -> Any:
    job = app.store.get(message.message_id)
    assert job is not None
    return job
