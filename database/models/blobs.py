"""Arguments that are too large for the job store."""

from sqlalchemy import BigInteger, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from database.models.base import Base


class PayloadBlob(Base):
    """One blob; its bytes are in chunks, so that no row is large. `stored_at` is in ms since 1970."""

    __tablename__ = "payload_blobs"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    job_id: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    stored_at: Mapped[int] = mapped_column(BigInteger)


class PayloadBlobChunk(Base):
    """A part of a blob. `number` counts from 0."""

    __tablename__ = "payload_blob_chunks"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    data: Mapped[bytes] = mapped_column(LargeBinary)
