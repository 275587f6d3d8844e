"""A stop ends in time and loses nothing, also when the server does not answer any more."""

import os
import signal
import subprocess
import sys
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
from broker.worker.side import LAST_SEND_S, LEAVE_S
from broker.worker.stop import END_S, GRACE_S
from jobs.memory import MemoryStore
from jobs.states import JobState
from tests.broker.workers import a_broker, send, state_of
from tests.waiting import eventually

CHECKOUT = Path(__file__).parents[2]


def test_the_limits_of_a_stop_sum_up_to_less_than_a_minute() -> None:
    """The command sees its signal within a second; jobs have 50 s; then each step has its own limit."""
    assert GRACE_S + LAST_SEND_S + LEAVE_S + STOP_S < END_S
    assert 1 + 50 + END_S <= 58.5


SAYS_WHO_ENDS_IT = """
import multiprocessing, pathlib
import dramatiq, dramatiq.cli
from dramatiq.brokers.stub import StubBroker
from broker.worker.stop import by_command

class Says(dramatiq.Middleware):
    def after_worker_boot(self, broker, worker):
        say("worker")

def say(name):
    folder = pathlib.Path({folder!r})
    (folder / name).with_suffix(".new").write_text(str(by_command()))
    (folder / name).with_suffix(".new").rename(folder / name)

broker = StubBroker(middleware=[Says()])
dramatiq.set_broker(broker)

def own_worker():
    worker = dramatiq.Worker(broker, worker_threads=1)
    worker.start()
    worker.stop()

if __name__ == "__main__":
    child = multiprocessing.get_context({start!r}).Process(target=own_worker)
    child.start()
    child.join()
"""


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.parametrize("by_the_command", [True, False])
def test_only_a_process_of_dramatiqs_command_ends_after_a_stop(
    tmp_path: Path, start: str, by_the_command: bool
) -> None:
    """A program may start a process by multiprocessing that has a Worker, and other things to do."""
    (tmp_path / "says.py").write_text(SAYS_WHO_ENDS_IT.format(folder=str(tmp_path), start=start))
    spawn = ["--use-spawn"] if start == "spawn" else []
    command = ["dramatiq", "-p", "1", "-t", "1", *spawn, "says"] if by_the_command else ["says"]
    path = os.pathsep.join([str(tmp_path), str(CHECKOUT)])
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually((tmp_path / "worker").exists, timeout=30)
        assert (tmp_path / "worker").read_text() == str(by_the_command)
    finally:
        process.terminate()
        process.wait(30)


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
        assert go_on.wait(50)

    broker = a_broker(store, work, lease=topology.describe)
    before = set(threading.enumerate())
    worker = dramatiq.Worker(broker, worker_threads=2, worker_timeout=50)
    worker.start()
    if busy:
        send(broker, "work")
        assert began.wait(20)
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
    assert took < LAST_SEND_S + LEAVE_S + STOP_S + 4.0, "and not as long as the server is away"


class TestWhatRunsWhenItsTimeIsOver:
    """It is interrupted, and no other process may start it before it has ended here."""

    def test_it_is_handed_back_once_it_has_cleaned_up(self) -> None:
        store, began, cleaning, cleaned = MemoryStore(), *(threading.Event() for _ in range(3))

        def work() -> None:
            began.set()
            pause = threading.Event()
            try:
                while True:
                    pause.wait(0.01)
            finally:
                cleaning.set()
                assert cleaned.wait(50)

        broker = a_broker(store, work, stop_s=0.2)
        job_id = send(broker, "work")
        worker = dramatiq.Worker(broker, worker_threads=2, worker_timeout=50)
        worker.start()
        assert began.wait(20)
        stopping = threading.Thread(target=worker.stop, args=(10_000,))
        stopping.start()
        assert cleaning.wait(20)
        assert state_of(store, job_id) is JobState.ACTIVE
        cleaned.set()
        stopping.join(20)
        job = store.get(job_id)
        assert job is not None
        assert (job.state, job.attempts, job.interruptions) == (JobState.DELAYED, 0, 1)

    def test_one_that_cannot_be_interrupted_stays_with_a_program_that_goes_on(self) -> None:
        store, began, go_on = MemoryStore(), threading.Event(), threading.Event()

        def work() -> None:
            began.set()
            assert go_on.wait(50), "a call into the system: nothing interrupts it"

        broker = a_broker(store, work, stop_s=0.2)
        job_id = send(broker, "work")
        worker = dramatiq.Worker(broker, worker_threads=2, worker_timeout=50)
        worker.start()
        assert began.wait(20)
        worker.stop(timeout=600)
        assert state_of(store, job_id) is JobState.ACTIVE
        assert store.workers(), "its lease is kept"
        go_on.set()
        eventually(lambda: state_of(store, job_id) is JobState.DELAYED)
        eventually(lambda: not store.workers())

    def test_one_that_cannot_be_interrupted_starts_elsewhere_when_the_process_has_ended_for_certain(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Under the `dramatiq` command the end of the process ends it, END_S after its time at the latest."""
        exits, over = list[int](), threading.Event()

        def leave(code: int) -> None:
            exits.append(code)
            over.set()

        monkeypatch.setattr("broker.worker.stop.by_command", lambda: True)
        monkeypatch.setattr("broker.worker.stop.os._exit", leave)
        store, began, go_on = MemoryStore(), threading.Event(), threading.Event()

        def work() -> None:
            began.set()
            assert go_on.wait(50)

        broker = a_broker(store, work, stop_s=0.2)
        job_id = send(broker, "work")
        worker = dramatiq.Worker(broker, worker_threads=2, worker_timeout=50)
        worker.start()
        assert began.wait(20)
        stopping, told_at = threading.Thread(target=worker.stop, args=(10_000,)), time.time()
        stopping.start()
        assert over.wait(30)
        job = store.get(job_id)
        go_on.set()
        stopping.join(20)
        assert exits == [0]
        assert job is not None
        assert (job.state, job.attempts, job.interruptions) == (JobState.DELAYED, 0, 1)
        assert (job.due_at or 0) / 1000 >= told_at + END_S
