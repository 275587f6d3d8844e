"""A database with all tables. Migrating a SQLite file takes longer than most tests; a copy takes no time."""

import tempfile
from functools import cache
from pathlib import Path

from sqlalchemy import Engine

from database.engine import make_engine
from database.migrations import migrate


def give_tables(engine: Engine) -> Engine:
    """What `migrate` leaves in an empty database, on PostgreSQL by `migrate` itself; the same engine."""
    if engine.dialect.name != "sqlite":
        migrate(engine)
        return engine
    file = Path(engine.url.database or "")
    assert file.stat().st_size == 0, "only an empty database is given tables"
    file.write_bytes(migrated_file())
    return engine


@cache
def migrated_file() -> bytes:
    """A SQLite file with all tables and no rows."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "callboard.db"
        engine = make_engine(f"sqlite:///{file}")
        migrate(engine)
        engine.dispose()  # the last connection folds the log into the file
        assert [path.name for path in Path(folder).iterdir()] == [file.name]
        return file.read_bytes()
