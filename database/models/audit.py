"""What makes the audit hold: chains of hashes over attempts and over what operators did."""

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from database.models.base import Base


class AuditChain(Base):
    """One chain: its head, which writers lock, and where retention has cut it."""

    __tablename__ = "audit_chains"

    name: Mapped[str] = mapped_column(Text, primary_key=True)  # "executions" or "operators"
    number: Mapped[int] = mapped_column(BigInteger)  # of the last link; 0: none yet
    hash: Mapped[str] = mapped_column(Text)
    at: Mapped[str] = mapped_column(Text)  # when that was written: UTC text, because it is hashed
    cut_number: Mapped[int] = mapped_column(BigInteger)  # the last link that retention took
    cut_hash: Mapped[str] = mapped_column(Text)
    cut_at: Mapped[str] = mapped_column(Text)
    before_id: Mapped[int] = mapped_column(BigInteger)  # rows up to here are older than the chain
    flaw: Mapped[int | None] = mapped_column(BigInteger)  # a link that was written on a forged head
    key_id: Mapped[str] = mapped_column(Text)
    seal: Mapped[str] = mapped_column(Text)


class AuditBatch(Base):
    """One link of the chain of attempts: the rows of one transaction."""

    __tablename__ = "audit_batches"

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    first_id: Mapped[int] = mapped_column(BigInteger)
    last_id: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(Integer)
    digests: Mapped[bytes] = mapped_column(LargeBinary)  # 16 bytes a row, in order
    recorded_at: Mapped[str] = mapped_column(Text)  # UTC text that sorts by time
    key_id: Mapped[str] = mapped_column(Text)  # "": hashed without a key
    hash: Mapped[str] = mapped_column(Text)


class OperatorAction(Base):
    """One link of the chain of what operators did: that it was begun, or how it ended."""

    __tablename__ = "operator_actions"
    __table_args__ = (
        Index(None, "action_id"),
        Index(None, "tenant_id", "number"),
    )

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    action_id: Mapped[str] = mapped_column(Text)
    phase: Mapped[str] = mapped_column(Text)  # "begun", "done" or "failed"
    at: Mapped[str] = mapped_column(Text)
    operator: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    target: Mapped[str | None] = mapped_column(Text)
    tenant_id: Mapped[str | None] = mapped_column(Text)
    parameters: Mapped[str] = mapped_column(Text)  # JSON
    reason: Mapped[str | None] = mapped_column(Text)
    count: Mapped[int | None] = mapped_column(BigInteger)
    result: Mapped[str | None] = mapped_column(Text)
    key_id: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(Text)
