"""What operators changed while the platform ran."""

from datetime import datetime

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from database.models.base import Base


class AdjustedRule(Base):
    """One rule of one queue or lane that no longer follows the settings."""

    __tablename__ = "adjustments"

    scope: Mapped[str] = mapped_column(Text, primary_key=True)  # "queue", or "lane", whose name may be ""
    queue: Mapped[str] = mapped_column(Text, primary_key=True)
    lane: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[str] = mapped_column(Text)  # JSON
    changed_by: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime]
