"""The database goes away for a while: no row is lost, memory stays bounded, and the lag shows it."""

import pytest
from sqlalchemy import Engine

from broker.worker.relay import BATCH, Relay
from database.audit import AuditReader, AuditWriter
from database.audit_check import AuditCheck
from jobs.memory import MemoryStore
from jobs.model import FetchRequest, NewJob, Outcome, Verdict
from tests.database.conftest import Outage, engine_at
from tests.database.events import START, an_event
from tests.waiting import eventually

JOBS = 3 * BATCH

pytestmark = pytest.mark.timeout(180)  # a server is stopped and started again


def finish(store: MemoryStore, name: str, count: int) -> None:
    """So many jobs run and end."""
    store.enqueue([NewJob(f"{name}-{number}", "count", "count", b"") for number in range(count)])
    done = 0
    while done < count:
        jobs = store.fetch(FetchRequest("w1", f"{name}-{done}", 500, {"count": 500})).jobs
        store.settle("w1", [Verdict(job.id, job.token, Outcome.COMPLETED) for job in jobs])
        done += len(jobs)


def test_what_ended_meanwhile_has_its_row_when_the_database_is_back(
    database_url: str, engine: Engine, outage: Outage
) -> None:
    store = MemoryStore()
    with engine_at(database_url, busy_timeout=0.05) as impatient:
        writer = AuditWriter(impatient)
        relay = Relay(store, lambda: writer, "audit", "w1")
        relay.start()
        try:
            finish(store, "before", 3)
            eventually(lambda: AuditReader(impatient).count_executions() == 3)
            eventually(lambda: writer.lag_ms == 0)
            outage.begin()
            finish(store, "meanwhile", JOBS)
            eventually(lambda: writer.lag_ms > 0)
            # One batch is in hand; the others wait where the jobs are, and a second reader sees how many.
            assert len(relay._in_hand) <= BATCH
            assert store.read_events("audit", "w2", 1).lag >= JOBS - BATCH
            outage.end()
            # The one that the second reader took comes back when it is taken for dead; the rest at once.
            eventually(lambda: AuditReader(impatient).count_executions() >= 3 + JOBS - 1, timeout=60)
            eventually(lambda: writer.lag_ms == 0)
        finally:
            relay.stop()
            relay.join(30)
        assert AuditCheck(impatient).executions().broken is None


def test_the_lag_is_that_of_the_oldest_event_in_hand(database_url: str, outage: Outage) -> None:
    with engine_at(database_url, busy_timeout=0.05) as impatient:
        writer = AuditWriter(impatient)
        outage.begin()
        for _ in range(2):
            with pytest.raises(Exception, match="database"):
                writer.write([an_event(job_id="b", finished_at=START + 5), an_event(job_id="a")])
        assert writer.held_since == START + 5


def test_the_first_call_after_an_outage_is_answered(
    database_url: str, engine: Engine, outage: Outage
) -> None:
    with engine_at(database_url) as used:
        assert AuditReader(used).count_executions() == 0
        outage.begin()
        outage.end()
        assert AuditReader(used).count_executions() == 0
