"""The tenants' keys, wrapped with the fleet's."""

from datetime import datetime

from sqlalchemy import BigInteger, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from database.models.base import Base


class TenantKey(Base):
    """One tenant's; without `wrapped` it was shredded."""

    __tablename__ = "tenant_keys"

    tenant: Mapped[str] = mapped_column(Text, primary_key=True)  # "": the jobs without a tenant
    number: Mapped[int] = mapped_column(BigInteger)
    fleet_key: Mapped[int] = mapped_column()
    wrapped: Mapped[bytes | None] = mapped_column(LargeBinary)
    made_at: Mapped[datetime]
    shredded_at: Mapped[datetime | None]
