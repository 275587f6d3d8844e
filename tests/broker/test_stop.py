"""A stop ends in time and loses nothing, also when the server does not answer any more."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dramatiq
import pytest

from broker.redis.embedded import EmbeddedServer
from broker.redis.redis_store import RedisStore
from broker.redis.topology import Topology
from broker.worker.leases import STOP_S
from broker.worker.lifecycle import END_S
from broker.worker.side import LAST_SEND_S, LEAVE_S
from jobs.memory import MemoryStore
from jobs.states import JobState
from tests.broker.workers import a_broker, at_work, send, state_of
from tests.waiting import eventually


def test_the_limits_of_a_stop_sum_up_to_less_than_a_minute() -> None:
    """The command sees its signal within a second; jobs have 50 s; then each step has its own limit."""
    assert LAST_SEND_S + LEAVE_S + STOP_S < END_S
    assert 1 + 50 + END_S < 60


class Frozen:
    """A server that takes what is sent and answers nothing, until the end of the test."""

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedServer(folder, durable=False)
        self.address = self._server.start()
        with_client = RedisStore(lambda: self.address)
        from broker.redis.facts import read_facts

        self.pid = read_facts(self.address).pid or 0
        with_client.close()

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        self.thaw()
        self._server.stop()


@pytest.fixture
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    server = Frozen(tmp_path_factory.mktemp("frozen"))
    yield server
    server.close()


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "with an outcome to send"])
def test_a_server_that_does_not_answer_delays_a_stop_by_a_few_seconds(
    frozen: Frozen, busy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.worker.listener.BLOCK_MS", 300)
    monkeypatch.setattr("broker.worker.signals.LISTEN_MS", 300)
    topology = Topology(lambda: frozen.address)
    store, began, go_on = topology.store(), threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        assert go_on.wait(20)

    broker = a_broker(store, work, lease=topology.describe)
    before = set(threading.enumerate())
    worker = dramatiq.Worker(broker, worker_threads=2, worker_timeout=50)
    worker.start()
    if busy:
        send(broker, "work")
        assert began.wait(10)
    eventually(lambda: len(store.workers()) == 1)
    frozen.freeze()
    go_on.set()
    since = time.monotonic()
    worker.stop(timeout=10_000)
    took = time.monotonic() - since
    frozen.thaw()
    # Threads that still wait for an answer are let go with the process; here they must not outlive the test.
    eventually(lambda: not [t for t in set(threading.enumerate()) - before if t.is_alive()], timeout=20)
    store.close()
    assert took < LAST_SEND_S + LEAVE_S + STOP_S + 1.0


def test_what_runs_is_handed_back_when_its_time_is_over() -> None:
    store, began, go_on = MemoryStore(), threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        assert go_on.wait(20)

    broker = a_broker(store, work, stop_s=0.3)
    job_id = send(broker, "work")
    try:
        with at_work(broker):
            assert began.wait(10)
            broker.lifecycle.before_worker_shutdown(broker, dramatiq.Worker(broker))
            eventually(lambda: state_of(store, job_id) is JobState.DELAYED)
            go_on.set()
    finally:
        go_on.set()
    job = store.get(job_id)
    assert job is not None
    assert (job.attempts, job.interruptions) == (0, 1)
