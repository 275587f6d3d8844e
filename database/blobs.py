"""Large arguments in the database: the blob store that needs no setting."""

import time
from collections.abc import Callable, Sequence

from sqlalchemy import Engine, delete, select

from database.dialects import insert_into
from database.engine import read_session, write_session
from database.models import PayloadBlob, PayloadBlobChunk

CHUNK_BYTES = 262_144


class DatabaseBlobs:
    """`jobs.blobs.BlobStore` in two tables. All verbs raise DatabaseUnavailable and DatabaseOutdated."""

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine

    def put(self, key: str, job_id: str, data: bytes) -> None:
        engine = self._engine()
        with write_session(engine) as session:
            row = {"key": key, "job_id": job_id, "size": len(data), "stored_at": time.time_ns() // 1_000_000}
            session.execute(insert_into(engine, PayloadBlob).values(row).on_conflict_do_nothing())
            for number, first in enumerate(range(0, len(data), CHUNK_BYTES)):
                part = {"key": key, "number": number, "data": data[first : first + CHUNK_BYTES]}
                session.execute(insert_into(engine, PayloadBlobChunk).values(part).on_conflict_do_nothing())

    def get(self, key: str) -> bytes | None:
        wanted = (
            select(PayloadBlobChunk.data).where(PayloadBlobChunk.key == key).order_by(PayloadBlobChunk.number)
        )
        with read_session(self._engine()) as session:
            if session.get(PayloadBlob, key) is None:
                return None
            return b"".join(session.scalars(wanted))

    def page(self, after: str, before_ms: int, limit: int) -> Sequence[tuple[str, str, int, int]]:
        wanted = (
            select(PayloadBlob)
            .where(PayloadBlob.key > after, PayloadBlob.stored_at < before_ms)
            .order_by(PayloadBlob.key)
            .limit(limit)
        )
        with read_session(self._engine()) as session:
            return [(row.key, row.job_id, row.size, row.stored_at) for row in session.scalars(wanted)]

    def remove(self, keys: Sequence[str]) -> int:
        with write_session(self._engine()) as session:
            session.execute(delete(PayloadBlobChunk).where(PayloadBlobChunk.key.in_(keys)))
            there = session.scalars(
                delete(PayloadBlob).where(PayloadBlob.key.in_(keys)).returning(PayloadBlob.key)
            )
            return len(list(there))
