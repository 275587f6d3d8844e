"""Webhooks to others, signed by Standard Webhooks."""

from datetime import UTC, datetime
from typing import Any

import orjson

from actors import app
from actors.declare import actor
from integrations.errors import IntegrationError, PermanentFailure
from middleware.current import current_job
from middleware.progress import progress


@actor  # S1 US-008, S3 queue 6
def webhook_deliver(endpoint_id: str, event: str, data: dict[str, Any]) -> dict[str, Any]:
    """Deliver one event to an endpoint of the settings.

    The webhook's id is the job's id, the same over all attempts, so that the receiver can drop a second
    copy. 408, 429, 5xx and network faults are tried again, after Retry-After if it is given; 410
    disables the endpoint. Every attempt is kept in the delivery history. Returns the answer's status.
    """
    from database.deliveries import Deliveries, Delivery
    from integrations.webhooks import EndpointGone, WebhookEndpoint, deliver

    job = current_job()
    now = datetime.now(UTC)
    webhook_id = job.id if job else f"direct-{now.timestamp():.0f}"
    attempt = job.attempt if job else 1
    deliveries = Deliveries(app.engine(), job.tenant_id if job else "")
    configured = app.settings.webhooks.get(endpoint_id)
    if configured is None:
        # An error's record hides the values of arguments, so that the parameter is named instead.
        raise PermanentFailure(
            "There is no webhook endpoint of the name given in endpoint_id; add [webhooks.NAME] to the "
            "settings."
        )
    if deliveries.is_disabled(endpoint_id):
        raise PermanentFailure(
            "The webhook endpoint named in endpoint_id is disabled: it answered 410 (gone)."
        )
    endpoint = WebhookEndpoint(
        endpoint_id, configured.url, configured.secret.get_secret_value(), configured.allow_private
    )
    happened = datetime.fromtimestamp(job.created_at / 1000, UTC) if job else now
    body = orjson.dumps({"type": event, "timestamp": happened.isoformat(), "data": data})

    def record(outcome: str, status: int | None, error: str | None = None) -> None:
        duration = round((datetime.now(UTC) - now).total_seconds() * 1000)
        deliveries.record_attempt(
            Delivery(
                webhook_id=webhook_id,
                endpoint_id=endpoint_id,
                job_id=webhook_id,
                attempt=attempt,
                outcome=outcome,
                duration_ms=duration,
                at=now,
                status_code=status,
                error=error,
            )
        )

    progress(10, message=f"calling {endpoint_id}")
    timeout = app.rules_of("webhook-deliver").timeout_ms / 1000
    try:
        answer = deliver(endpoint, webhook_id, body, now, timeout_seconds=max(1.0, timeout - 1))
    except IntegrationError as error:
        answered = getattr(error, "delivery", None)
        record("failed", answered.status_code if answered else None, str(error))
        if isinstance(error, EndpointGone):
            deliveries.disable_endpoint(endpoint_id, "answered 410")
        raise
    record("delivered", answer.status_code)
    progress(100, message=f"delivered, {answer.status_code}")
    return {"status": answer.status_code, "attempt": attempt}
