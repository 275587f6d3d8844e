"""Rows of the audit as the database has them now, in the form in which their digests were made."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from database.execution_rows import COLUMNS, Row, as_text, text_of

_SELECT = f"SELECT id, {', '.join(COLUMNS)} FROM job_executions WHERE "  # noqa: S608


class StoredRow(NamedTuple):
    id: int
    values: Row


def rows_between(connection: Connection, first: int, last: int) -> Iterator[StoredRow]:
    """Rows with ids from `first` to `last`, both included, in their order."""
    mark = "%s" if connection.dialect.name == "postgresql" else "?"
    # The driver's own statement: SQLite's times stay text, as they were written.
    found = connection.exec_driver_sql(f"{_SELECT}id >= {mark} AND id <= {mark} ORDER BY id", (first, last))
    for row in found:
        yield StoredRow(row[0], tuple(map(_plain, row[1:])))


def _plain(value: object) -> str | int | float | None:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, datetime):
        return text_of(value)
    if isinstance(value, bytes | memoryview):
        return as_text(bytes(value))
    raise TypeError(f"a column of job_executions gave {type(value).__name__}")
