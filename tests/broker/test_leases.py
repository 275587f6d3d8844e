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

import psutil
import pytest

from broker.redis.connection import RedisAddress
from broker.redis.redis_store import RedisStore
from broker.worker.leases import EXIT_BROKEN, LeaseKeeper
from jobs.errors import StoreUnavailable
from jobs.model import WorkerInfo
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
    lease.join(5.0)
    assert ends == [EXIT_BROKEN]
    assert "The exchange thread is dead. This worker process ends" in caplog.text


def test_a_service_thread_that_does_not_move_ends_the_process(store: RedisStore) -> None:
    service, ends = Service(), list[int]()
    service.beat -= 100
    lease = keeper(store, {"listener": service}, ends)
    lease.start()
    lease.join(5.0)
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
    lease.join(5.0)
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
            assert helper.wait(10) == 0


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
        helper.wait(10)
