"""Engines and transactions for both databases. Nothing here connects at import time.

`write_session` and `read_session` are the two ways in, `bare_connection` is for upkeep. Any driver error that
means "not now" leaves them as DatabaseUnavailable (database/faults.py).
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from weakref import WeakSet

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from database.errors import DatabaseUnavailable, InvalidDatabaseUrl
from database.faults import name_of, reason_in, report_faults
from database.sqlite import NO_TRANSACTION, READ_ONLY, prepare_sqlite

#: What PostgreSQL may take, in seconds: for a lock, for one statement, and until a transaction in which
#: nothing happens is given up. A worker process ends itself when its relay has stood for 90 s; so two
#: statements in a row are to be over, one way or the other, before that.
LOCK_S, STATEMENT_S, IDLE_S = 10.0, 40.0, 60.0

_engines: WeakSet[Engine] = WeakSet()


def make_engine(
    url: str, *, connect_timeout: int = 5, busy_timeout: float = 10.0, pool_size: int = 5
) -> Engine:
    """An engine for `sqlite:///path` or `postgresql://…` (also `postgres://`; psycopg 3 is used).

    Makes the SQLite file and its folder; does not connect to PostgreSQL yet (see `ping`). What takes longer
    there than LOCK_S, STATEMENT_S and IDLE_S fails with DatabaseUnavailable, unless the URL has `options`
    of its own, which count alone.

    Parameters: `connect_timeout` seconds until PostgreSQL must have answered; `busy_timeout` seconds
    to wait for another SQLite writer; `pool_size` connections kept, as many again under load.
    Raises InvalidDatabaseUrl, or DatabaseUnavailable when the SQLite file cannot be made.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        _make_file(parsed)
        engine = create_engine(
            parsed, pool_size=pool_size, max_overflow=pool_size, connect_args={"timeout": busy_timeout}
        )
        prepare_sqlite(engine, busy_timeout)
    else:
        defaults = {
            "connect_timeout": str(max(connect_timeout, 2)),  # libpq's smallest
            "application_name": "callboard",
            # A server that vanished without a word is noticed in 15 s, not in two hours.
            "keepalives_idle": "10",
            "tcp_user_timeout": "15000",
        }
        engine = create_engine(
            parsed,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=True,
            pool_timeout=10,
            connect_args={key: value for key, value in defaults.items() if key not in parsed.query},
        )
        if "options" not in parsed.query:
            event.listen(engine, "connect", _limit_waits)
    report_faults(engine)
    _engines.add(engine)
    return engine


@contextmanager
def write_session(engine: Engine) -> Iterator[Session]:
    """A transaction that writes: committed at the end, rolled back by an exception.

    On SQLite it takes the write lock at once (BEGIN IMMEDIATE), so it cannot fail half way because
    another writer came first. Raises DatabaseUnavailable.
    """
    with _reachable(engine), Session(engine, expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def read_session(engine: Engine) -> Iterator[Session]:
    """A transaction that only reads and blocks no writer; the database refuses writes in it.

    Raises DatabaseUnavailable.
    """
    reader = engine.execution_options(**READ_ONLY)
    with _reachable(engine), Session(reader, expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def bare_connection(engine: Engine) -> Iterator[Connection]:
    """A connection without a transaction, for statements that may stand in none, such as VACUUM.

    Raises DatabaseUnavailable.
    """
    options = {"isolation_level": "AUTOCOMMIT"} if engine.dialect.name == "postgresql" else NO_TRANSACTION
    with _reachable(engine), engine.connect().execution_options(**options) as connection:
        yield connection


def ping(engine: Engine) -> None:
    """Raise DatabaseUnavailable with the reason unless the database answers."""
    with read_session(engine) as session:
        session.execute(text("SELECT 1"))


@contextmanager
def _reachable(engine: Engine) -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable(
            f"All connections to the database {name_of(engine.url)} are in use; "
            "run fewer threads in a process or let the pool be larger."
        ) from error


def unlimited_waits(connection: Connection) -> None:
    """Let the transaction that is open on this connection take as long as it needs: a migration, say."""
    if connection.dialect.name == "postgresql":
        for name in _waits():
            connection.exec_driver_sql(f"SET LOCAL {name} = 0")


def _limit_waits(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # Not as `options` of the connection: a pooler between here and the server refuses those.
    connection.autocommit = True
    with closing(connection.cursor()) as cursor:
        cursor.execute("; ".join(f"SET {name} = {ms}" for name, ms in _waits().items()))
    connection.autocommit = False


def _waits() -> dict[str, int]:
    limits = {
        "lock_timeout": LOCK_S,
        "statement_timeout": STATEMENT_S,
        "idle_in_transaction_session_timeout": IDLE_S,
    }
    return {name: round(seconds * 1000) for name, seconds in limits.items()}


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # their text may hold the password
        raise InvalidDatabaseUrl(
            "The database URL cannot be read; write sqlite:///folder/file.db or "
            "postgresql://user:password@host:5432/name."
        ) from None
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        if parsed.database in (None, "", ":memory:"):
            raise InvalidDatabaseUrl(
                "A database in memory cannot be shared by workers; name a file: sqlite:///folder/file.db."
            )
        return parsed
    if parsed.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    raise InvalidDatabaseUrl(
        f"The database kind '{parsed.drivername}' is not supported; use sqlite:/// or postgresql://."
    )


def _make_file(url: URL) -> None:
    """Make the SQLite file private to its user: it holds mail and audit rows. WAL files inherit the mode."""
    path = Path(str(url.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise DatabaseUnavailable(
            f"The database file {path} cannot be written ({reason_in(error)}); "
            "make its folder writable or choose another with DATABASE_URL."
        ) from error


def _forget_connections() -> None:
    """A forked child must not speak on its parent's connections."""
    for engine in list(_engines):
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_connections)
