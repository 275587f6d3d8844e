"""What a database wants done now and then: figures for its planner, and room that is given back."""

from typing import NamedTuple

from sqlalchemy import Connection, Engine

from database.engine import bare_connection
from database.models import Base

#: A file is written anew when so much of it is empty, and only then: writers wait for that.
EMPTY_SHARE = 0.25
#: Rows that SQLite looks at in each index.
LOOKED_AT = 1_000


class Upkeep(NamedTuple):
    """`bytes` is what the database takes now, `freed` how many fewer than before."""

    tables: int
    bytes: int
    freed: int


def analyze(engine: Engine) -> Upkeep:
    """Renew the figures by which queries are planned, and give back empty room. May take minutes.

    PostgreSQL: VACUUM (ANALYZE) of each of our tables; one that is locked is passed over. SQLite: ANALYZE,
    and where a quarter of the file is empty VACUUM, for which writers wait. Raises DatabaseUnavailable.
    """
    tables = [table.name for table in Base.metadata.sorted_tables]
    postgres = engine.dialect.name == "postgresql"
    with bare_connection(engine) as connection:
        before = _size(connection, postgres)
        if postgres:
            for table in tables:
                connection.exec_driver_sql(f'VACUUM (ANALYZE, SKIP_LOCKED) "{table}"')
        else:
            _analyze_file(connection)
        after = _size(connection, postgres)
    return Upkeep(len(tables), after, max(0, before - after))


def _analyze_file(connection: Connection) -> None:
    connection.exec_driver_sql(f"PRAGMA analysis_limit={LOOKED_AT}")
    connection.exec_driver_sql("ANALYZE")
    pages, empty = (_number(connection, f"PRAGMA {name}") for name in ("page_count", "freelist_count"))
    if empty >= EMPTY_SHARE * pages:
        connection.exec_driver_sql("VACUUM")
    connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _size(connection: Connection, postgres: bool) -> int:
    if postgres:
        return _number(connection, "SELECT pg_database_size(current_database())")
    return _number(connection, "PRAGMA page_count") * _number(connection, "PRAGMA page_size")


def _number(connection: Connection, statement: str) -> int:
    return int(connection.exec_driver_sql(statement).scalar_one())
