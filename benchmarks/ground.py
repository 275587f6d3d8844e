"""The ground that both sides stand on: one server, one folder, an environment without the user's settings."""

import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import redis

from benchmarks.sides import Ours, Stock
from benchmarks.stamps import SOCKET
from broker.embedded import EmbeddedServer
from broker.facts import read_facts

#: What the user may have set for a real installation, or to tune Dramatiq.
SETTINGS = ("CALLBOARD_", "REDIS_", "DATABASE_", "WORKER_", "QUEUE_", "SENTRY_", "START_WORKERS", "DRAMATIQ_")
DURABILITIES = ("none", "everysec")


@dataclass(frozen=True, slots=True)
class Ground:
    ours: Ours
    stock: Stock
    home: Path
    facts: str


@contextmanager
def ground(durability: str) -> Iterator[Ground]:
    """Start the server, with or without an append-only file written every second; leave nothing behind.

    Stock gets database 1 and ours database 0. Raises ServerNotStarted.
    """
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as folder:
        home = Path(folder)
        server = EmbeddedServer(home, durable=durability != "none")
        address = server.start()
        try:
            if durability == "everysec":
                with redis.Redis.from_url(address.url) as client:
                    client.config_set("appendfsync", "everysec")
            _prepare_environment(home, address.url)
            facts = read_facts(address)
            described = _facts(f"{facts.name} {'.'.join(map(str, facts.version))}", durability)
            yield Ground(Ours(), Stock(), home, described)
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
        "BENCH_STOCK_URL": _database(url, 1),
        SOCKET: str(home / "stamps.sock"),
    }


def _database(url: str, number: int) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{number}"))


def _facts(server: str, durability: str) -> str:
    now = datetime.now(UTC)
    return (
        f"Python {platform.python_version()}, Dramatiq {version('dramatiq')}, {server} "
        f"({'no persistence' if durability == 'none' else 'AOF every second'}), "
        f"{os.cpu_count()} CPUs, {platform.system()} {platform.machine()}, {now:%Y-%m-%d %H:%M} UTC"
    )
