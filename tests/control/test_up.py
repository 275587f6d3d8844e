"""`callboard up` as a whole: server, worker and API from nothing, and all of it gone at the end."""

import os
import signal
import socket
from pathlib import Path

import psutil
import pytest

from broker.embedded import read_address
from broker.redis_store import RedisStore
from tests.control.running import running
from tests.control.test_cli import callboard, command, env, refused  # noqa: F401 - a fixture
from tests.waiting import eventually

pytestmark = pytest.mark.faults


@pytest.fixture
def up_env(env):  # noqa: F811 - the fixture
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {**env, "CALLBOARD_API__PORT": str(port)}


def ask(env, bare, path, key):  # noqa: F811
    url = f"http://127.0.0.1:{env['CALLBOARD_API__PORT']}{path}"
    return bare.get(url, headers={"Authorization": f"Bearer {key}"})


def key_in(run):
    return run.line_with("key  ").split()[3]


def test_from_nothing_to_a_working_api_and_back(up_env, bare):
    home = Path(up_env["CALLBOARD_HOME"])
    with running(command("up"), up_env) as run:
        key = key_in(run)
        store = RedisStore(lambda: read_address(home))
        (worker,) = eventually(store.workers)
        store.close()
        health = ask(up_env, bare, "/api/v1/queues/health", key).json()
        server = read_address(home)
        second = callboard(up_env, "up")
        third = callboard({**up_env, "CALLBOARD_HOME": str(home / "other")}, "up")

        run.send(signal.SIGINT)
        assert run.ended(40) == 0

    assert health["workers"][0]["pid"] == worker.pid
    assert server is not None
    assert "another 'callboard up'" in refused(second)
    assert "the API cannot listen" in refused(third)
    assert run.lines[-1].endswith("stopped; every unfinished job is kept")
    assert read_address(home) is None
    assert not psutil.pid_exists(worker.pid)


def test_a_killed_worker_and_a_killed_server_come_back(up_env, bare):
    home = Path(up_env["CALLBOARD_HOME"])
    with running(command("up"), up_env) as run:
        key = key_in(run)
        store = RedisStore(lambda: read_address(home))
        (worker,) = eventually(store.workers)
        (server,) = [
            child
            for child in psutil.Process(run.process.pid).children()
            if "server" in child.name() or "valkey" in child.name()
        ]

        os.kill(worker.pid, signal.SIGKILL)
        server.kill()

        run.line_with("the server died; starting it again in 1 s")
        run.line_with("the server is back")
        run.line_with("worker ended with code")
        eventually(lambda: [one for one in store.workers() if one.pid != worker.pid], 20)
        assert ask(up_env, bare, "/api/v1/queues/health", key).json()["store"]["connected"]
        store.close()
        run.send(signal.SIGTERM)
        assert run.ended(40) == 0


def test_without_start_workers_only_server_and_api_run(up_env, bare):
    with running(command("up"), {**up_env, "START_WORKERS": "false"}) as run:
        key = key_in(run)

        assert ask(up_env, bare, "/api/v1/queues/health", key).json()["workers"] == []
        run.send(signal.SIGTERM)
        assert run.ended() == 0
