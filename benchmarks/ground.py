"""The ground that both sides stand on: one server, one folder, an environment without the user's settings."""

import os
import platform
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from benchmarks.sides import Ours, Stock
from benchmarks.stamps import SOCKET
from broker.redis.embedded import EmbeddedServer
from broker.redis.facts import read_facts
from settings import key_text

#: What the user may have set for a real installation, or to tune Dramatiq.
SETTINGS = ("CALLBOARD_", "REDIS_", "DATABASE_", "WORKER_", "QUEUE_", "SENTRY_", "START_WORKERS", "DRAMATIQ_")
DURABILITIES = {"none": "no persistence", "everysec": "AOF every second"}


@dataclass(frozen=True, slots=True)
class Ground:
    ours: Ours
    stock: Stock
    home: Path
    server: str

    def use(self, durability: str) -> None:
        """Begin to write an append-only file, synced every second, or stop writing it."""
        for side in (self.ours, self.stock):
            side.clear()  # or the file would begin with the jobs of the last measurement
        server = self.ours.server
        server.config_set("appendfsync", "everysec")
        server.config_set("appendonly", "no" if durability == "none" else "yes")
        while server.info("persistence")["aof_rewrite_in_progress"]:
            time.sleep(0.02)

    def facts(self, durability: str) -> str:
        now = datetime.now(UTC)
        return (
            f"Python {platform.python_version()}, Dramatiq {version('dramatiq')}, {self.server} "
            f"({DURABILITIES[durability]}), "
            f"{os.cpu_count()} CPUs, {platform.system()} {platform.machine()}, {now:%Y-%m-%d %H:%M} UTC"
        )


@contextmanager
def ground() -> Iterator[Ground]:
    """Start the server, without persistence; leave nothing behind.

    Stock gets database 1 and ours database 0. Raises ServerNotStarted.
    """
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as folder:
        home = Path(folder)
        server = EmbeddedServer(home, durable=False)
        address = server.start()
        try:
            _prepare_environment(home, address.url)
            facts = read_facts(address)
            yield Ground(Ours(), Stock(), home, f"{facts.name} {'.'.join(map(str, facts.version))}")
        finally:
            server.stop()


def _prepare_environment(home: Path, url: str) -> None:
    """For this process and the workers it starts."""
    for name in list(os.environ):
        if name.upper().startswith(SETTINGS):
            del os.environ[name]
    config = home / "callboard.toml"
    config.touch()
    os.environ |= {
        "CALLBOARD_CONFIG": str(config),
        "CALLBOARD_HOME": str(home),
        "REDIS_URL": _database(url, 0),
        "CALLBOARD_KEYS__RING__1": key_text(secrets.token_bytes(32)),
        "BENCH_STOCK_URL": _database(url, 1),
        SOCKET: str(home / "stamps.sock"),
    }


def _database(url: str, number: int) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{number}"))
