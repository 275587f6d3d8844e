"""The audit of attempts, written from the event stream, in a chain of batches.

`AuditWriter` is an EventSink: the same events may come again (a reader died before it acknowledged
them), and the rows stay single.
"""

import time
from binascii import a2b_base64
from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, insert

from database.audit_reader import AuditReader, ExecutionRow
from database.chain import EXECUTIONS, ChainKeys, extend, link_hash, locked_chain, row_digests
from database.engine import write_session
from database.execution_rows import COLUMNS, Row, now, row_of
from database.models import AuditBatch
from database.stored_rows import rows_between
from jobs.model import Event, Outcome

__all__ = ["AuditReader", "AuditWriter", "ExecutionRow"]

BATCH = 500  # rows in one statement, and in one link of the chain

_NAMES = ", ".join(COLUMNS)
_TIMES = ("created_at", "ready_at", "started_at", "finished_at", "recorded_at")
_TYPES = {"attempt": "bigint", "token": "bigint", "wait_ms": "bigint", "run_ms": "bigint"} | {
    "cost": "double precision"
}
_INPUTS = COLUMNS.index("inputs")


class AuditWriter:
    """Writes a row for each attempt that ended."""

    def __init__(self, engine: Engine, keys: ChainKeys | None = None) -> None:
        self._engine = engine
        self._keys = keys or ChainKeys()
        self._insert = _insert_json if engine.dialect.name == "postgresql" else _insert_tuples
        #: When the oldest event of a batch that could not be stored had ended, in ms since 1970; 0: none.
        self.held_since = 0

    @property
    def lag_ms(self) -> int:
        """For how long the oldest event that waits for the database has waited; 0 when none does."""
        return max(0, round(time.time() * 1000) - self.held_since) if self.held_since else 0

    def write(self, events: Sequence[Event]) -> None:
        """Store the events in one transaction; those that are there already are passed over.

        A job handed back unstarted made no attempt, so RETURNED gives no row. A detail that cannot be
        read gives a row with the error code `unreadable_detail`. Raises DatabaseUnavailable, and
        AuditKeyMissing when the chain's newest key is not here; then nothing was stored and the same events
        are to be written again.
        """
        recorded_at = now()
        rows = [row_of(event, recorded_at) for event in events if event.outcome is not Outcome.RETURNED]
        if not rows:
            return
        rows.sort(key=_identity)
        try:
            with write_session(self._engine) as session:
                # One writer at a time from here on: the batches of all processes are one chain.
                chain = locked_chain(session, EXECUTIONS)
                connection = session.connection()
                for start in range(0, len(rows), BATCH):
                    batch = self._batch(connection, chain.number + 1, chain.hash, rows[start : start + BATCH])
                    if batch is not None:
                        connection.execute(_INSERT_BATCH, {name: getattr(batch, name) for name in _BATCH})
                        extend(chain, self._keys, batch.hash, recorded_at)
        except Exception:
            self.held_since = self.held_since or min(event.finished_at for event in events)
            raise
        self.held_since = 0

    def _batch(
        self, connection: Connection, number: int, previous: str, rows: list[Row]
    ) -> AuditBatch | None:
        """Insert rows, and make the link that covers them; None when all of them were there."""
        first, last, count = self._insert(connection, rows)
        if not count:
            return None
        stored = rows if count == len(rows) else [row.values for row in rows_between(connection, first, last)]
        key = self._keys.ring[self._keys.current]
        batch = AuditBatch(
            number=number,
            first_id=first,
            last_id=last,
            rows=count,
            digests=row_digests(stored, key),
            recorded_at=str(rows[0][_RECORDED]),
            key_id=self._keys.current,
        )
        batch.hash = batch_hash(batch, previous, key)
        return batch


def batch_hash(batch: AuditBatch, previous: str, key: bytes) -> str:
    """What the hash of a batch has to be."""
    facts = (batch.number, batch.first_id, batch.last_id, batch.rows, batch.recorded_at, batch.key_id)
    return link_hash("batch", (*facts, batch.digests.hex()), previous, key)


Inserted = tuple[int, int, int]  # first and last id, and how many


def _insert_tuples(connection: Connection, rows: list[Row]) -> Inserted:
    """SQLite: one prepared statement, a tuple a row."""
    before = connection.exec_driver_sql(_LAST_ID).scalar_one()
    values: list[tuple[Any, ...]] = [row if row[_INPUTS] is None else _with_bytes(row) for row in rows]
    connection.exec_driver_sql(_INSERT_TUPLES, values)
    last = connection.exec_driver_sql(_LAST_ID).scalar_one()
    return before + 1, last, last - before  # SQLite gives the next number, and none to what was there


def _insert_json(connection: Connection, rows: list[Row]) -> Inserted:
    """PostgreSQL: all rows as one JSON parameter, unpacked by the server. What is missing reads as NULL."""
    named = [
        {name: value for name, value in zip(COLUMNS, row, strict=True) if value is not None} for row in rows
    ]
    found = connection.exec_driver_sql(_INSERT_JSON, (orjson.dumps(named).decode(),)).one()
    return found[0] or 0, found[1] or 0, found[2]


def _identity(row: Row) -> tuple[Any, ...]:
    return row[:3]


def _with_bytes(row: Row) -> tuple[Any, ...]:
    return (*row[:_INPUTS], a2b_base64(str(row[_INPUTS])), *row[_INPUTS + 1 :])


def _taken(name: str) -> str:
    if name in _TIMES:
        return f"{name} AT TIME ZONE $$UTC$$"
    return f"decode({name}, $$base64$$)" if name == "inputs" else name


def _json_type(column: str) -> str:
    return "timestamp" if column in _TIMES else _TYPES.get(column, "text")


_RECORDED = COLUMNS.index("recorded_at")
#: Without the ORM's flush, which takes as long as 20 rows.
_BATCH = tuple(AuditBatch.__table__.columns.keys())
_INSERT_BATCH = insert(AuditBatch)
_LAST_ID = "SELECT coalesce(max(id), 0) FROM job_executions"
_INSERT_TUPLES = (
    f"INSERT INTO job_executions ({_NAMES}) VALUES ({', '.join('?' * len(COLUMNS))}) "  # noqa: S608
    "ON CONFLICT DO NOTHING"
)
_INSERT_JSON = (
    f"WITH inserted AS (INSERT INTO job_executions ({_NAMES}) "  # noqa: S608
    f"SELECT {', '.join(map(_taken, COLUMNS))} "
    "FROM json_to_recordset(%s::json) "
    f"AS event({', '.join(f'{name} {_json_type(name)}' for name in COLUMNS)}) "
    "ON CONFLICT DO NOTHING RETURNING id) SELECT min(id), max(id), count(*) FROM inserted"
)
