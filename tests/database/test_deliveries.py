"""Webhook deliveries and disabled endpoints."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from database.deliveries import Deliveries, Delivery

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_try(attempt: int, **changes: object) -> Delivery:
    values: dict[str, object] = {
        "webhook_id": "msg_1",
        "endpoint_id": "ep_1",
        "job_id": "job-1",
        "attempt": attempt,
        "outcome": "retry",
        "duration_ms": 40,
        "at": NOON + timedelta(minutes=attempt),
    }
    return Delivery(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture
def deliveries(engine: Engine) -> Deliveries:
    return Deliveries(engine)


def test_the_history_tells_each_try_in_order(deliveries: Deliveries) -> None:
    delivered = a_try(3, outcome="delivered", status_code=204)
    refused = a_try(1, status_code=503, error="service unavailable")
    silent = a_try(2, error="no answer in 30 s")
    for one in (delivered, refused, silent, a_try(1, webhook_id="msg_2")):
        deliveries.record_attempt(one)
    assert deliveries.history("msg_1") == [refused, silent, delivered]
    assert deliveries.history("msg_9") == []


def test_an_endpoint_is_disabled_until_it_is_enabled(deliveries: Deliveries) -> None:
    assert not deliveries.is_disabled("ep_1")
    deliveries.disable_endpoint("ep_1", "It answered 410 Gone.")
    deliveries.disable_endpoint("ep_1", "It answered 410 Gone again.")
    assert deliveries.is_disabled("ep_1")
    assert not deliveries.is_disabled("ep_2")
    deliveries.enable_endpoint("ep_1")
    assert not deliveries.is_disabled("ep_1")


def test_one_tenants_endpoint_says_nothing_about_anothers(engine: Engine) -> None:
    ours, theirs = Deliveries(engine, "acme"), Deliveries(engine, "other")
    ours.disable_endpoint("ep_1", "It answered 410 Gone.")
    ours.record_attempt(a_try(1))
    assert not theirs.is_disabled("ep_1")
    assert theirs.history("msg_1") == []


def test_a_time_without_a_zone_is_refused(deliveries: Deliveries) -> None:
    with pytest.raises(Exception, match="without a zone"):
        deliveries.record_attempt(a_try(1, at=datetime(2026, 3, 1)))
    assert deliveries.history("msg_1") == []
