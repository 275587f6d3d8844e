"""The lease keeper: renewal that a busy interpreter cannot delay, and no process that is alive but deaf."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from broker.redis.connection import RedisAddress
from broker.redis.redis_store import RedisStore
from broker.worker.leases import EXIT_BROKEN, LeaseKeeper
from jobs.errors import StoreUnavailable
from jobs.memory import MemoryStore
from jobs.model import WorkerInfo
from tests.broker.workers import a_broker, at_work
from tests.waiting import eventually

LEASE_MS = 900
CHECKOUT = Path(__file__).parents[2]

PARENT = {"parent": os.getpid(), "max_lost": 3, "ledger": None}


class Service(threading.Thread):
    """A thread that lives until it is told to end, and says when it moved last."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.beat = time.monotonic()
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        self.over.wait()


def keeper(
    store: RedisStore, services: Mapping[str, threading.Thread], ends: list[int], wedged_s: float = 90.0
) -> LeaseKeeper:
    lease = {"owner": "w", "lease_ms": LEASE_MS, "wedged_s": wedged_s, "max_lost": 3}
    address = {"url": store.address.url, "namespace": store.keys.namespace, "shards": {}}
    return LeaseKeeper(lambda: address, lease, lambda: services, ends.append)


def register(store: RedisStore) -> None:
    store.register(WorkerInfo("w", "host", 1, "0.1.0", 2, ("q",), started_at=0), LEASE_MS)


def lease_until(store: RedisStore) -> int:
    return next((worker.lease_until for worker in store.workers()), 0)


def test_the_lease_is_renewed_by_a_process_of_its_own(store: RedisStore) -> None:
    service, ends = Service(), list[int]()
    lease = keeper(store, {"exchange": service}, ends)
    register(store)
    first = lease_until(store)
    lease.start()
    eventually(lambda: lease_until(store) > first + 2 * LEASE_MS)
    helper = lease._helper
    assert helper is not None
    assert psutil.Process(helper.pid).cmdline()[1:] == ["-m", "broker.worker.renewer"], (
        "no password in arguments"
    )
    lease.stop()
    assert helper.returncode == 0
    assert ends == []


def test_a_dead_service_thread_ends_the_process(store: RedisStore, caplog: pytest.LogCaptureFixture) -> None:
    service, ends = Service(), list[int]()
    lease = keeper(store, {"exchange": service}, ends)
    lease.start()
    service.over.set()
    lease.join(20.0)
    assert ends == [EXIT_BROKEN]
    assert "The exchange thread is dead. This worker process ends" in caplog.text


def test_a_service_thread_that_does_not_move_ends_the_process(store: RedisStore) -> None:
    service, ends = Service(), list[int]()
    service.beat -= 100
    lease = keeper(store, {"listener": service}, ends)
    lease.start()
    lease.join(20.0)
    assert ends == [EXIT_BROKEN]


def test_a_keeper_that_fails_itself_ends_the_process_too(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_more_processes(*args: object, **kwargs: object) -> object:
        raise OSError("Cannot allocate memory")

    monkeypatch.setattr("broker.worker.leases.subprocess.Popen", no_more_processes)
    ends = list[int]()
    lease = keeper(store, {"exchange": Service()}, ends)
    lease.start()
    lease.join(20.0)
    assert ends == [EXIT_BROKEN]
    assert "Cannot allocate memory" in caplog.text


def test_no_address_yet_is_no_reason_to_end(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.worker.leases.BEAT_S", 0.01)
    asked = list[int]()

    def away() -> Mapping[str, object]:
        asked.append(1)
        raise StoreUnavailable("There is no Redis to talk to")

    ends = list[int]()
    lease = LeaseKeeper(away, {}, lambda: {"exchange": Service()}, ends.append)
    lease.start()
    eventually(lambda: len(asked) > 3)
    lease.stop()
    assert not lease.is_alive()
    assert ends == []


def test_a_helper_that_was_killed_is_started_again(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.worker.leases.BEAT_S", 0.05)
    lease = keeper(store, {"exchange": Service()}, [])
    lease.start()
    first = eventually(lambda: lease._helper)
    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: lease._helper is not None and lease._helper.pid != first.pid)
    lease.stop()


def test_the_helper_ends_when_its_parents_pipe_closes(redis_address: RedisAddress) -> None:
    told = {"url": redis_address.url, "namespace": "x", "shards": {}, "owner": "w", **PARENT}
    line = json.dumps({**told, "lease_ms": LEASE_MS, "wedged_s": 90}).encode() + b"\n"
    for first in (line, b""):
        with subprocess.Popen(
            [sys.executable, "-m", "broker.worker.renewer"], stdin=subprocess.PIPE, cwd=CHECKOUT
        ) as helper:
            assert helper.stdin is not None
            helper.stdin.write(first)
            helper.stdin.close()
            assert helper.wait(30) == 0


def test_the_helper_lets_the_lease_run_out_when_no_beat_comes(store: RedisStore) -> None:
    """Wedged: the process is there and its pipe is open, but nothing in it moves."""
    register(store)
    told = {
        "url": store.address.url,
        "namespace": store.keys.namespace,
        "shards": {},
        "owner": "w",
        **PARENT,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "broker.worker.renewer"], stdin=subprocess.PIPE, cwd=CHECKOUT
    ) as helper:
        assert helper.stdin is not None
        helper.stdin.write(json.dumps({**told, "lease_ms": LEASE_MS, "wedged_s": 1.0}).encode() + b"\n")
        helper.stdin.flush()
        eventually(lambda: not store.workers())
        assert helper.poll() is None
        helper.stdin.close()
        helper.wait(30)


def told_to(store: RedisStore, **more: object) -> bytes:
    told = {
        "url": store.address.url,
        "namespace": store.keys.namespace,
        "shards": {},
        "owner": "w",
        "lease_ms": LEASE_MS,
        "wedged_s": 90,
        **PARENT,
        **more,
    }
    return json.dumps(told).encode() + b"\n"


def test_a_helper_that_cannot_renew_any_more_ends_so_that_another_is_started(store: RedisStore) -> None:
    """Its thread may die of what nobody foresaw; alive and deaf it would let the lease run out unseen."""
    broken = "import broker.worker.renewer as r; r.Renewal.run = lambda self: None; r.main()"
    with subprocess.Popen([sys.executable, "-c", broken], stdin=subprocess.PIPE, cwd=CHECKOUT) as helper:
        assert helper.stdin is not None
        helper.stdin.write(told_to(store))
        helper.stdin.flush()
        assert helper.wait(30) == 0, "with its pipe open"


#: A worker that ignores its stop signal: it holds the interpreter lock.
HOG = """
import ctypes, os, signal, subprocess, sys, threading, time
from broker.worker.alarm import StopAlarm
signal.signal(signal.SIGTERM, lambda *_: None)
signal.signal(signal.SIGUSR1, lambda *_: None)
alarm = StopAlarm()
assert alarm.set()
line = os.environ["TOLD"].replace("PARENT", str(os.getpid())).replace("ALARM", str(alarm.descriptor))
helper = subprocess.Popen(
    [sys.executable, "-m", "broker.worker.renewer"], stdin=subprocess.PIPE, pass_fds=[alarm.descriptor]
)
helper.stdin.write(line.encode() + b"\\n")
helper.stdin.flush()
if child := os.fork():
    os.waitpid(child, 0)
else:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.01)
    os._exit(0)
os.kill(os.getpid(), signal.SIGUSR1)
print("ready", flush=True)
hog = threading.Thread(target=ctypes.PyDLL(None).sleep, args=[int(sys.argv[1])])
hog.start()
hog.join()
"""


@pytest.mark.parametrize("signalled", [True, False], ids=["after its stop signal", "without one"])
def test_a_worker_whose_job_holds_the_interpreter_lock_is_killed(store: RedisStore, signalled: bool) -> None:
    """Only after its own stop signal: neither another signal counts, nor one to a child of it."""
    told = told_to(store, stop_s=0.5).decode().strip()
    told = told.replace(f'"parent": {os.getpid()}', '"parent": PARENT, "signals": ALARM')
    with subprocess.Popen(
        [sys.executable, "-c", HOG, "50" if signalled else "2"],
        env={**os.environ, "TOLD": told},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=CHECKOUT,
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        since = time.monotonic()
        if signalled:
            worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == (-signal.SIGKILL if signalled else 0)
        if signalled:
            assert 0.4 < time.monotonic() - since < 30.0


def test_a_helper_that_is_started_during_a_stop_knows_when_it_must_be_over(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = list[bytes]()

    class Helper(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__([sys.executable, "-c", "import sys; sys.stdin.read()"], **options)
            assert self.stdin is not None
            monkeypatch.setattr(self.stdin, "write", told.append)

    monkeypatch.setattr("broker.worker.leases.subprocess.Popen", Helper)
    lease = keeper(store, {"exchange": Service()}, [])
    lease.end_by(time.monotonic() + 30)
    lease.start()
    eventually(lambda: told)
    lease.stop()
    assert 5 < json.loads(told[0])["end_in_s"] < 30


def test_a_service_that_ended_on_purpose_while_it_was_looked_at_is_no_fault(store: RedisStore) -> None:
    ended = threading.Thread(target=int)
    ended.start()
    ended.join()
    asked = iter([{"time-limits": ended}, dict[str, threading.Thread]()])
    lease = LeaseKeeper(dict, {}, lambda: next(asked))
    assert lease._fault() is None


def test_all_threads_that_jobs_depend_on_are_watched() -> None:
    def work() -> None: ...

    broker = a_broker(MemoryStore(), work)
    with at_work(broker, threads=2) as worker:
        services = broker.lifecycle._services(worker)
        assert services.keys() == {"worker-0", "worker-1", "time-limits"}
        assert all(thread.is_alive() for thread in services.values())
        beat = vars(services["time-limits"])["beat"]
        eventually(lambda: vars(services["time-limits"])["beat"] > beat)
    assert broker.lifecycle._services(worker) == {}, "they end on purpose"
