"""Driver errors in a person's words.

Errors that mean "not now" (server gone, file locked, disk full) become DatabaseUnavailable, so callers
can wait and repeat; a missing table becomes DatabaseOutdated; all others pass unchanged. URLs are named
without user, password and query.
"""

import sqlite3

from sqlalchemy import URL, Engine, event
from sqlalchemy.engine.interfaces import ExceptionContext

from database.errors import DatabaseOutdated, DatabaseUnavailable
from jobs.errors import CallboardError

_SQLITE_NOT_NOW = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
_SQLITE_MISSING = ("no such table", "no such column", "has no column named")
# PostgreSQL's classes: connection, authorisation, no such database, rolled back by the server (deadlock),
# out of resources, stopped by an operator, system error; and what took too long: a lock, a statement, a
# transaction in which nothing happened.
_POSTGRES_TOO_LONG = ("55P03", "57014", "25P03")
_POSTGRES_NOT_NOW = ("08", "28", "3D", "40", "53", "57P", "58", *_POSTGRES_TOO_LONG)
_POSTGRES_MISSING = ("42P01", "42703")


def report_faults(engine: Engine) -> None:
    """Have errors of this engine, also those of connecting, raised as ours where one fits."""
    name = name_of(engine.url)

    def translate(context: ExceptionContext) -> BaseException | None:
        if context.is_pre_ping and context.is_disconnect:
            return None  # the pool only asks whether an old connection still works, and makes a new one
        return _translated(context.original_exception, context.is_disconnect, name)

    event.listen(engine, "handle_error", translate, retval=True)


def name_of(url: URL) -> str:
    """The database as a message may name it: no user, no password, no query."""
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{url.database}"
    return f"postgresql://{url.host or 'localhost'}:{url.port or 5432}/{url.database or ''}"


def reason_in(error: BaseException) -> str:
    """The first line of what the system said."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else type(error).__name__


def _translated(error: BaseException, disconnected: bool, name: str) -> CallboardError | None:
    advice = "see that it runs and that DATABASE_URL is right"
    if isinstance(error, sqlite3.Error):
        # An error that the driver made itself ("cannot operate on a closed database") has no code.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        missing = code == sqlite3.SQLITE_ERROR and any(words in str(error) for words in _SQLITE_MISSING)
        not_now = code in _SQLITE_NOT_NOW
    else:
        state = getattr(error, "sqlstate", None) or ""
        missing = state in _POSTGRES_MISSING
        connecting = not state and type(error).__name__ in ("OperationalError", "ConnectionTimeout")
        not_now = disconnected or connecting or state.startswith(_POSTGRES_NOT_NOW)
        if state in _POSTGRES_TOO_LONG:
            advice = "try again later, and look at what keeps it busy when that does not help"
    if missing:
        return DatabaseOutdated(
            f"The database {name} lacks tables of this release ({reason_in(error)}); "
            "migrate it (`callboard up` does so)."
        )
    if not_now:
        return DatabaseUnavailable(f"The database {name} cannot be used now ({reason_in(error)}); {advice}.")
    return None
