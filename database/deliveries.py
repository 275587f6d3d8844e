"""Webhook deliveries: the history of tries, and endpoints that get nothing more."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, delete, select

from database.dialects import insert_into
from database.engine import read_session, write_session
from database.models import DisabledEndpoint, WebhookDelivery


@dataclass(frozen=True, slots=True)
class Delivery:
    """One try. `outcome` is the deliverer's word (delivered, retry, refused …); `at` has a zone."""

    webhook_id: str
    endpoint_id: str
    job_id: str
    attempt: int
    outcome: str
    duration_ms: int
    at: datetime
    status_code: int | None = None  # None: no answer came
    error: str | None = None


class Deliveries:
    """The deliveries of one tenant ("" for those without). All verbs raise DatabaseUnavailable."""

    def __init__(self, engine: Engine, tenant_id: str = "") -> None:
        self._engine = engine
        self._tenant = tenant_id

    def record_attempt(self, delivery: Delivery) -> None:
        """Add one try to the history."""
        values = {name: getattr(delivery, name) for name in Delivery.__slots__}
        values["error"] = delivery.error and delivery.error.replace("\0", "\N{REPLACEMENT CHARACTER}")
        with write_session(self._engine) as session:
            session.add(WebhookDelivery(tenant_id=self._tenant, **values))

    def history(self, webhook_id: str) -> list[Delivery]:
        """All tries of one webhook, oldest first."""
        wanted = (
            select(WebhookDelivery)
            .where(WebhookDelivery.tenant_id == self._tenant, WebhookDelivery.webhook_id == webhook_id)
            .order_by(WebhookDelivery.at, WebhookDelivery.id)
        )
        with read_session(self._engine) as session:
            return [
                Delivery(**{name: getattr(row, name) for name in Delivery.__slots__})
                for row in session.scalars(wanted)
            ]

    def disable_endpoint(self, endpoint_id: str, reason: str) -> None:
        """Send nothing more to an endpoint; the first reason stays."""
        insert = insert_into(self._engine, DisabledEndpoint).values(
            tenant_id=self._tenant, endpoint_id=endpoint_id, since=datetime.now(UTC), reason=reason
        )
        with write_session(self._engine) as session:
            session.execute(insert.on_conflict_do_nothing())

    def enable_endpoint(self, endpoint_id: str) -> None:
        """Send to an endpoint again."""
        with write_session(self._engine) as session:
            session.execute(
                delete(DisabledEndpoint).where(
                    DisabledEndpoint.tenant_id == self._tenant, DisabledEndpoint.endpoint_id == endpoint_id
                )
            )

    def is_disabled(self, endpoint_id: str) -> bool:
        """True when the endpoint gets nothing more."""
        with read_session(self._engine) as session:
            return session.get(DisabledEndpoint, (self._tenant, endpoint_id)) is not None
