"""Bringing a database to this release, from Python; there is no alembic.ini.

A new migration is a file `versions/vNNNN_subject.py` written for both databases (`op.batch_alter_table`
for changes of a column); a test compares what all of them make with the models.
"""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, text

from database.engine import read_session, unlimited_waits

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK_KEY = 0x63616C6C626F6172  # "callboar": any number that nobody else locks
_one_at_a_time = threading.Lock()  # Alembic keeps its context in globals


def migrate(engine: Engine, revision: str = "head") -> bool:
    """Bring the database up to `revision`; True when there was something to do.

    All or nothing, and safe when many processes start at once: one migrates, the others wait and find
    it done. Raises DatabaseUnavailable.
    """
    from alembic import command

    if revision == "head" and not pending(engine):
        return False
    with _one_at_a_time, engine.begin() as connection:  # BEGIN IMMEDIATE is SQLite's lock
        _begin(connection)
        before = _revision(connection)
        command.upgrade(_config(connection), revision)
        return _revision(connection) != before


def downgrade(engine: Engine, revision: str) -> None:
    """Take the database back to `revision` (`base` drops every table and what is in them)."""
    from alembic import command

    with _one_at_a_time, engine.begin() as connection:
        _begin(connection)
        command.downgrade(_config(connection), revision)


def pending(engine: Engine) -> bool:
    """True when the database has not yet the tables of this release. Raises DatabaseUnavailable."""
    from alembic.script import ScriptDirectory

    with read_session(engine) as session:
        connection = session.connection()
        current = _revision(connection)
        scripts = ScriptDirectory.from_config(_config(connection))
        known = {script.revision for script in scripts.walk_revisions()}
        # A database that a newer release has migrated is left as it is: this one may still serve.
        return current != scripts.get_current_head() and (current is None or current in known)


def _begin(connection: Connection) -> None:
    """Wait for others that migrate, and take all the time that large tables need."""
    unlimited_waits(connection)
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})


def _revision(connection: Connection) -> str | None:
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()


def _config(connection: Connection) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
