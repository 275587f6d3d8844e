"""What was sent to whom, and which endpoints asked to be left alone."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from database.models.base import Base, RowId


class WebhookDelivery(Base):
    """One try to deliver one webhook."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index(None, "tenant_id", "webhook_id", "at"),
        Index(None, "tenant_id", "endpoint_id", "at"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Text)
    webhook_id: Mapped[str] = mapped_column(Text)
    endpoint_id: Mapped[str] = mapped_column(Text)
    job_id: Mapped[str] = mapped_column(Text)
    attempt: Mapped[int] = mapped_column(BigInteger)
    status_code: Mapped[int | None]
    outcome: Mapped[str] = mapped_column(Text)
    duration_ms: Mapped[int] = mapped_column(BigInteger)
    error: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime]


class DisabledEndpoint(Base):
    """An endpoint that gets nothing more until it is enabled again."""

    __tablename__ = "webhook_endpoints_disabled"

    tenant_id: Mapped[str] = mapped_column(Text, primary_key=True)
    endpoint_id: Mapped[str] = mapped_column(Text, primary_key=True)
    since: Mapped[datetime]
    reason: Mapped[str] = mapped_column(Text)
