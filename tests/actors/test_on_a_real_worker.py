"""The three actors on the real server, run by Dramatiq's own worker, with every peer real."""

import dramatiq
import pytest

from actors.email import email_sync
from actors.reports import report_generate
from actors.webhooks import webhook_deliver
from broker.redis.connection import RedisAddress
from broker.redis.redis_store import RedisStore
from database.audit import AuditReader
from tests.actors.conftest import SetUp, as_settings, endpoint, receiving
from tests.integrations.peers import MailServer
from tests.waiting import eventually


def test_a_worker_runs_all_three(
    set_up: SetUp,
    inbox: MailServer,
    redis_address: RedisAddress,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiving() as (receiver, url):
        app = set_up(
            redis={"url": redis_address.url, "namespace": namespace},
            mailboxes={"inbox": as_settings(inbox)},
            webhooks={"shop": endpoint(url)},
        )
        monkeypatch.setattr(app.broker, "store", RedisStore(lambda: redis_address, namespace))
        # A Worker adds one of its own for good.
        monkeypatch.setattr(app.broker, "middleware", [*app.broker.middleware])
        worker = dramatiq.Worker(app.broker, worker_threads=4, worker_timeout=50)
        worker.start()
        try:
            synced = email_sync.send("ada", "inbox")
            made = report_generate.send("custom", "csv", {"title": "T", "columns": ["a"], "rows": [["1"]]})
            told = webhook_deliver.send("shop", "invoice.paid", {"id": 7})

            assert synced.get_result(block=True) == {"new": 120, "total": 120}
            assert made.get_result(block=True)["size"] > 0
            assert told.get_result(block=True) == {"status": 204, "attempt": 1}
            assert list(receiver.ledger) == [told.message_id]
            eventually(lambda: AuditReader(app.engine()).count_executions() == 3)
        finally:
            worker.stop(timeout=10_000)
            app.broker.close()
