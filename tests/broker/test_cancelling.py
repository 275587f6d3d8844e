"""A running job that somebody cancels ends in well under a second, and no other job is hurt."""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import redis

from broker.redis.redis_store import RedisStore
from jobs.errors import JobCancelled
from jobs.memory import MemoryStore
from jobs.model import Cancelled
from jobs.states import JobState
from jobs.store import JobStore
from tests.broker.workers import a_broker, at_work, send, state_of
from tests.waiting import eventually


@pytest.fixture(autouse=True)
def short_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that wait in the store end soon after their test."""
    monkeypatch.setattr("broker.worker.listener.BLOCK_MS", 300)
    monkeypatch.setattr("broker.worker.signals.LISTEN_MS", 300)
    # A heartbeat asks too what shall be cancelled: it is not that which finds anything here.
    monkeypatch.setattr("broker.worker.chores.REGISTER_EVERY_S", 600.0)


@pytest.fixture(params=["memory", "redis"])
def either(request: pytest.FixtureRequest) -> Iterator[JobStore]:
    if request.param == "redis":
        yield request.getfixturevalue("store")
    else:
        yield MemoryStore()


class Stage:
    """Actors that run until they are told to go on, and say how they ended."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.go_on = threading.Event()
        self.ended: list[str] = []

    def plain(self) -> None:
        self.began.set()
        try:
            while not self.go_on.wait(0.01):
                pass
            self.ended.append("by itself")
        except JobCancelled:
            self.ended.append("cancelled")
            raise

    async def coroutine(self) -> None:
        self.began.set()
        try:
            while not self.go_on.is_set():
                await asyncio.sleep(0.01)
            self.ended.append("by itself")
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise

    def stubborn(self) -> str:
        self.began.set()
        while True:
            try:
                if self.go_on.wait(0.01):
                    return "done"
            except JobCancelled:
                self.ended.append("went on")


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_a_running_job_ends_in_under_a_second(either: JobStore, kind: str) -> None:
    stage, took = Stage(), list[float]()
    broker = a_broker(either, named(kind, getattr(stage, kind)))
    with at_work(broker):
        for _ in range(3):
            stage.began.clear()
            job_id = send(broker, kind)
            assert stage.began.wait(20)
            since = time.monotonic()
            assert either.cancel([job_id], "not needed any more") == [Cancelled.SIGNALLED]
            eventually(lambda job_id=job_id: state_of(either, job_id) is JobState.CANCELLED)
            took.append(time.monotonic() - since)
        assert stage.ended == ["cancelled"] * 3
    assert min(took) < 1.0, took  # a machine that is busy with other things delays some
    job = either.get(job_id)
    assert job is not None
    assert (job.attempts, job.cancel_requested) == (1, True)
    assert b'"type":"Cancelled"' in (job.record or b"")


def test_no_failure_is_logged(either: JobStore, caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    broker = a_broker(either, named("plain", stage.plain))
    job_id = send(broker, "plain")
    with at_work(broker):
        assert stage.began.wait(20)
        either.cancel([job_id])
        eventually(lambda: state_of(either, job_id) is JobState.CANCELLED)
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR", "CRITICAL")] == []


def test_a_run_that_completes_all_the_same_is_completed(either: JobStore) -> None:
    stage = Stage()
    broker = a_broker(either, named("stubborn", stage.stubborn))
    job_id = send(broker, "stubborn")
    with at_work(broker):
        assert stage.began.wait(20)
        either.cancel([job_id])
        eventually(lambda: stage.ended == ["went on"])
        stage.go_on.set()
        eventually(lambda: state_of(either, job_id) is JobState.COMPLETED)


class Deaf(RedisStore):
    """Does not listen until it `hears`."""

    hears = threading.Event()

    def listen(self, heard: Callable[[str], None], joined: Callable[[], None], timeout_ms: int) -> None:
        if self.hears.wait(0.05):
            super().listen(heard, joined, timeout_ms)


def test_what_was_said_while_nobody_listened_is_asked_for_afterwards(store: RedisStore) -> None:
    stage, deaf = Stage(), Deaf(lambda: store.address, store.keys.namespace)
    broker = a_broker(deaf, named("plain", stage.plain))
    job_id = send(broker, "plain")
    with at_work(broker):
        assert stage.began.wait(20)
        store.cancel([job_id])
        deaf.hears.set()
        eventually(lambda: state_of(store, job_id) is JobState.CANCELLED)
    deaf.close()


def test_signals_are_heard_again_after_the_connection_was_lost(
    store: RedisStore, client: "redis.Redis"
) -> None:
    stage = Stage()
    broker = a_broker(store, named("plain", stage.plain))
    job_id = send(broker, "plain")

    def listening() -> bool:
        return bool(client.pubsub_numsub(store.keys.signals)[0][1])

    with at_work(broker):
        assert stage.began.wait(20)
        eventually(listening)
        client.client_kill_filter(_type="pubsub")
        store.cancel([job_id])
        eventually(lambda: state_of(store, job_id) is JobState.CANCELLED)


def test_a_job_that_waits_for_its_thread_never_starts(either: JobStore) -> None:
    """It is in the worker's hands, but the actor's function has not begun."""
    stage, ran = Stage(), list[int]()

    def second() -> None:
        ran.append(1)

    broker = a_broker(either, named("plain", stage.plain), second)
    first = send(broker, "plain")
    with at_work(broker, threads=1):
        assert stage.began.wait(20)
        waits = send(broker, "second")
        assert either.cancel([waits]) == [Cancelled.DONE]
        stage.go_on.set()
        eventually(lambda: state_of(either, first) is JobState.COMPLETED)
    assert (state_of(either, waits), ran) == (JobState.CANCELLED, [])


def test_the_thread_runs_the_next_job_unhurt(either: JobStore) -> None:
    stage = Stage()

    def following() -> str:
        return "fine"

    broker = a_broker(either, named("plain", stage.plain), following)
    with at_work(broker, threads=1):
        job_id = send(broker, "plain")
        assert stage.began.wait(20)
        next_id = send(broker, "following")
        either.cancel([job_id])
        eventually(lambda: state_of(either, next_id) is JobState.COMPLETED)
        assert state_of(either, job_id) is JobState.CANCELLED


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_cancelling_at_random_moments_hurts_no_other_job(
    store: RedisStore, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """500 very short jobs, half of them cancelled: each ends completed or cancelled, those that nobody
    cancelled are completed, and every thread is still there."""
    total, chance = 500, random.Random(3)
    runs: Counter[int] = Counter()

    def plain(n: int) -> None:
        runs[n] += 1
        for _ in range(20):
            time.sleep(0.0002)

    async def coroutine(n: int) -> None:
        runs[n] += 1
        for _ in range(5):
            await asyncio.sleep(0.0005)

    broker = a_broker(store, named(kind, {"plain": plain, "coroutine": coroutine}[kind]))
    ids = [send(broker, kind, n) for n in range(total)]
    unwanted = set(chance.sample(ids, total // 2))
    with at_work(broker, threads=8) as worker:
        for job_id in ids:
            if job_id in unwanted:
                # While it runs, or as near to it as can be.
                eventually(
                    lambda job_id=job_id: state_of(store, job_id) is not JobState.WAITING, every=0.0001
                )
                store.cancel([job_id])
        eventually(lambda: store.stats([kind])[0].waiting + store.stats([kind])[0].active == 0, timeout=30)
        assert all(thread.is_alive() for thread in worker.workers)
    states = {job_id: state_of(store, job_id) for job_id in ids}
    assert {states[job_id] for job_id in ids if job_id not in unwanted} == {JobState.COMPLETED}
    ends = Counter(states[job_id] for job_id in unwanted)
    assert set(ends) <= {JobState.COMPLETED, JobState.CANCELLED}
    assert ends[JobState.CANCELLED] > 0, "some were caught while they ran"
    assert max(runs.values()) == 1
    assert [r.getMessage() for r in caplog.records if r.levelname in ("ERROR", "CRITICAL")] == []


def named(name: str, function: Callable[..., object]) -> Callable[..., object]:
    """The function under the name of its actor and queue."""
    if asyncio.iscoroutinefunction(function):

        async def run_async(*args: object) -> object:
            return await function(*args)

        run_async.__name__ = name
        return run_async

    def run(*args: object) -> object:
        return function(*args)

    run.__name__ = name
    return run
