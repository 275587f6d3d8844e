"""Every test here that asks for `database_url` or `engine` runs on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import Engine

from database.engine import make_engine
from tests.postgres import PostgresServer, postgres_database, postgres_server, postgres_url
from tests.tables import give_tables

__all__ = ["postgres_database", "postgres_server", "postgres_url"]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/callboard.db"
    return str(request.getfixturevalue("postgres_database"))


@pytest.fixture
def empty_engine(database_url: str) -> Iterator[Engine]:
    """An engine on a database without tables."""
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(empty_engine: Engine) -> Engine:
    """An engine on a database with all tables."""
    return give_tables(empty_engine)


class Outage(Protocol):
    def begin(self) -> None: ...
    def end(self) -> None: ...


@pytest.fixture
def outage(request: pytest.FixtureRequest, database_url: str) -> Iterator[Outage]:
    """Takes the database away and brings it back: a locked file, a stopped server."""
    away: Outage
    if database_url.startswith("sqlite"):
        away = _LockedFile(database_url)
    else:
        away = _StoppedServer(request.getfixturevalue("postgres_server"))
    yield away
    away.end()


class _LockedFile:
    def __init__(self, url: str) -> None:
        self._engine = make_engine(url)
        self._holder = self._engine.connect()

    def begin(self) -> None:
        self._holder.begin()

    def end(self) -> None:
        self._holder.close()
        self._engine.dispose()


class _StoppedServer:
    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def begin(self) -> None:
        self._server.stop()

    def end(self) -> None:
        if not self._server.running:
            self._server.start()


@contextmanager
def engine_at(url: str, busy_timeout: float = 10.0) -> Iterator[Engine]:
    """An engine of the test's own, closed at the end."""
    engine = make_engine(url, busy_timeout=busy_timeout)
    try:
        yield engine
    finally:
        engine.dispose()
