"""Mailboxes kept in step: how far each folder was read, its messages, and the history of syncs.

`tenant_id` is empty for a mailbox without a tenant (NULLs would not be unique).
"""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from database.models.base import Base, RowId


class MailboxCursor(Base):
    """How far a folder was read: messages below `uid_next` are stored (RFC 3501, 2.3.1.1)."""

    __tablename__ = "mailbox_cursors"

    tenant_id: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[str] = mapped_column(Text, primary_key=True)
    folder: Mapped[str] = mapped_column(Text, primary_key=True)
    uid_validity: Mapped[int] = mapped_column(BigInteger)
    uid_next: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[datetime]


class StoredMessage(Base):
    """One message's envelope and the beginning of its text."""

    __tablename__ = "mail_messages"
    __table_args__ = (
        UniqueConstraint(
            "tenant_id", "account_id", "folder", "uid_validity", "uid", name="uq_mail_messages_uid"
        ),
        Index(None, "tenant_id", "account_id", "date"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Text)
    account_id: Mapped[str] = mapped_column(Text)
    folder: Mapped[str] = mapped_column(Text)
    uid_validity: Mapped[int] = mapped_column(BigInteger)
    uid: Mapped[int] = mapped_column(BigInteger)
    message_id: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    from_address: Mapped[str] = mapped_column(Text)
    to_addresses: Mapped[str] = mapped_column(Text)  # comma separated
    date: Mapped[datetime | None]
    size: Mapped[int] = mapped_column(BigInteger)
    flags: Mapped[str] = mapped_column(Text)  # space separated
    snippet: Mapped[str] = mapped_column(Text)
    has_attachments: Mapped[bool]
    important: Mapped[bool]


class SyncRun(Base):
    """One sync job of a mailbox, over all its attempts."""

    __tablename__ = "email_sync_history"
    __table_args__ = (
        CheckConstraint("status IN ('running', 'completed', 'failed')", name="status"),
        UniqueConstraint("tenant_id", "job_id"),
        Index(None, "tenant_id", "account_id", "started_at"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Text)
    job_id: Mapped[str] = mapped_column(Text)
    user_id: Mapped[str] = mapped_column(Text)
    account_id: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    messages_new: Mapped[int] = mapped_column(BigInteger)
    messages_total: Mapped[int] = mapped_column(BigInteger)
    error: Mapped[str | None] = mapped_column(Text)
