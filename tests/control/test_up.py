"""`callboard up` as a whole: server, worker and API from nothing, and all of it gone at the end."""

import os
import shutil
import signal
import socket
from pathlib import Path

import psutil
import pytest

from broker.redis.embedded import read_address
from broker.redis.redis_store import RedisStore
from control.api.serve import AddressTaken, listen
from control.supervisor.lock import AlreadyUp, only_one
from control.supervisor.up import run
from jobs.memory import MemoryStore
from tests.control.board import small_app
from tests.control.running import callboard, command, running
from tests.ports import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.faults


@pytest.fixture
def up_env(env):
    return {**env, "CALLBOARD_API__PORT": str(free_port())}


def ask(env, bare, path, key):
    url = f"http://127.0.0.1:{env['CALLBOARD_API__PORT']}{path}"
    return bare.get(url, headers={"Authorization": f"Bearer {key}"})


def server_of(board):
    """The process of the embedded server."""
    children = psutil.Process(board.process.pid).children()
    (server,) = [child for child in children if child.name() in ("valkey-server", "redis-server")]
    return server


def settled(env, bare, path, key):
    """The job, once it is settled."""
    job = ask(env, bare, path, key).json()
    return job if job["finishedOn"] else None


def refuses(env):
    """Whether nobody listens on the API's port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(env["CALLBOARD_API__PORT"]))) != 0


def key_in(board):
    return board.line_with("key  ").split()[3]


def test_everything_starts_from_nothing_comes_back_when_killed_and_stops(up_env, bare):
    home = Path(up_env["CALLBOARD_HOME"])
    with running(command("up"), up_env) as board:
        key = key_in(board)
        store = RedisStore(lambda: read_address(home))
        (worker,) = board.until(store.workers)
        health = ask(up_env, bare, "/api/v1/queues/health", key).json()
        assert health["workers"][0]["pid"] == worker.pid

        location = f"http://127.0.0.1:{up_env['CALLBOARD_API__PORT']}/api/v1/jobs"
        body = {"queue": "email-sync", "data": {"userId": "u1", "accountId": "nobody"}}
        job = bare.post(location, json=body, headers={"Authorization": f"Bearer {key}"}).json()
        failed = board.until(lambda: settled(up_env, bare, f"/api/v1/jobs/{job['id']}", key))
        assert failed["state"] == "failed"
        assert "There is no mailbox of the name given in account_id" in failed["failedReason"]
        assert failed["attemptsMade"] == 1
        assert failed["stacktrace"]

        os.kill(worker.pid, signal.SIGKILL)
        server_of(board).kill()
        board.line_with("the server died; starting it again in 1 s")
        board.line_with("the server is back")
        board.line_with("worker ended with code")
        (successor,) = board.until(lambda: [one for one in store.workers() if one.pid != worker.pid])
        assert ask(up_env, bare, "/api/v1/queues/health", key).json()["store"]["connected"]
        store.close()

        board.send(signal.SIGINT)
        assert board.ended() == 0

    assert board.lines[-1].endswith("stopped; every unfinished job is kept")
    assert read_address(home) is None
    assert not psutil.pid_exists(successor.pid)


def test_a_killed_supervisor_leaves_nothing_in_the_way_of_the_next(up_env, bare):
    env = {**up_env, "START_WORKERS": "false"}
    home = Path(env["CALLBOARD_HOME"])
    with running(command("up"), env) as board:
        key = key_in(board)
        server = server_of(board)
        assert ask(env, bare, "/api/v1/queues/health", key).json()["workers"] == []

        board.send(signal.SIGKILL)
        board.process.wait()
    assert read_address(home) is not None  # the server outlives it

    eventually(lambda: refuses(env))
    with running(command("up"), env) as board:
        board.line_with(f"ending the server that an earlier run left behind (process {server.pid})")
        board.line_with("as printed at the first start")
        assert ask(env, bare, "/api/v1/queues/health", key).json()["store"]["connected"]
        board.send(signal.SIGTERM)
        assert board.ended() == 0
    assert not psutil.pid_exists(server.pid)


def test_a_new_store_is_given_what_operators_changed_before(up_env, bare):
    env = {**up_env, "START_WORKERS": "false"}
    home = Path(env["CALLBOARD_HOME"])
    queue = f"http://127.0.0.1:{env['CALLBOARD_API__PORT']}/api/v1/queues/email-sync"
    with running(command("up"), env) as board:
        key = {"Authorization": f"Bearer {key_in(board)}"}
        assert bare.post(f"{queue}/pause", headers=key).status_code == 200
        board.send(signal.SIGTERM)
        assert board.ended() == 0
    shutil.rmtree(home / "redis")

    with running(command("up"), env) as board:
        board.line_with("the job store is new; pauses and limits restored: 1")
        board.line_with("Callboard is up")
        assert bare.get(f"{queue}/metrics", headers=key).json()["paused"]
        board.send(signal.SIGTERM)
        assert board.ended() == 0


def test_a_second_one_in_the_same_home_is_refused(tmp_path):
    with only_one(tmp_path), pytest.raises(AlreadyUp, match="join it with"):
        run(small_app(MemoryStore(), tmp_path), 1)


def test_a_taken_port_is_told_before_anything_starts(tmp_path):
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        app = small_app(MemoryStore(), tmp_path, api={"port": port})
        with pytest.raises(AddressTaken, match=f"cannot listen on 127.0.0.1:{port} .*CALLBOARD_API__PORT"):
            run(app, 1)
    assert not (tmp_path / "redis").exists()


def test_a_server_of_ones_own_that_is_away_is_told_with_both_ways_out(up_env, closed_port):
    refusal = callboard({**up_env, "REDIS_URL": f"redis://127.0.0.1:{closed_port}"}, "up")

    assert refusal.returncode == 1
    assert "start it, or unset REDIS_URL." in refusal.stderr
    assert "make up" not in refusal.stderr
