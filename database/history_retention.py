"""Takes old rows off the histories that jobs write beside the audit, in chunks."""

from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import InstrumentedAttribute

from database.engine import write_session
from database.models import SyncRun, WebhookDelivery

CHUNK = 5_000  # rows of one transaction: writers wait for it, some hundredths of a second

Time = InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None]


class HistoryRetention:
    """Each run yields how many rows a chunk removed. All raise DatabaseUnavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def deliveries(self, older_than: timedelta) -> Generator[int, None, None]:
        """Remove tries of webhooks that were made longer ago than this."""
        return self._remove(WebhookDelivery, WebhookDelivery.at, older_than)

    def syncs(self, older_than: timedelta) -> Generator[int, None, None]:
        """Remove syncs of mailboxes that began longer ago than this."""
        return self._remove(SyncRun, SyncRun.started_at, older_than)

    def _remove(
        self, model: type[WebhookDelivery | SyncRun], time: Time, older_than: timedelta
    ) -> Generator[int, None, None]:
        cutoff = datetime.now(UTC) - older_than
        while removed := self._chunk(model, time, cutoff):
            yield removed

    def _chunk(self, model: type[WebhookDelivery | SyncRun], time: Time, cutoff: datetime) -> int:
        with write_session(self._engine) as session:
            # By the key, not by the time, which has no index: rows are written about in their order.
            rows = session.execute(select(model.id, time).order_by(model.id).limit(CHUNK)).all()
            old = list(takewhile(lambda row: row[1] is not None and row[1] < cutoff, rows))
            if old:
                session.execute(delete(model).where(model.id <= old[-1][0]))
            return len(old)
