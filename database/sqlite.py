"""How each SQLite connection is set up, and which BEGIN it sends.

The driver's own transaction control is off (it would not begin before a SELECT or DDL); SQLAlchemy's
`begin` event sends ours.
"""

import sqlite3
import time

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.pool import ConnectionPoolEntry

#: Execution options of a read-only transaction, on either database.
READ_ONLY = {"callboard_read_only": True, "postgresql_readonly": True}
#: Of a connection for statements that may stand in no transaction, such as VACUUM.
NO_TRANSACTION = {"callboard_no_transaction": True}


def prepare_sqlite(engine: Engine, busy_timeout: float) -> None:
    """WAL, durable commits, foreign keys, and BEGIN IMMEDIATE for all but read-only transactions."""

    def set_up(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        _enter_wal(cursor, busy_timeout)
        # FULL, not NORMAL: events are dropped from the stream once their rows are committed, so a
        # commit that a power cut could undo would be a hole in the audit. It is one fsync per batch.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", _begin)


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    reads = bool(options.get("callboard_read_only"))
    connection.exec_driver_sql(f"PRAGMA query_only={int(reads)}")
    if options.get("callboard_no_transaction"):
        return
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _enter_wal(cursor: DBAPICursor, busy_timeout: float) -> None:
    """Changing the journal mode does not wait for locks as statements do, so wait here."""
    deadline = time.monotonic() + busy_timeout
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
