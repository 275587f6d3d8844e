"""How far the readers of the event stream are behind, on a real server, asked without reading."""

import uuid

from broker.redis.connection import RedisAddress
from broker.redis.stream_lag import StreamLag, stream_lag
from broker.redis.topology import Topology
from broker.worker.relay import Relay
from jobs.model import Event, FetchRequest, NewJob, Outcome, Verdict
from jobs.store import JobStore
from tests.waiting import eventually

SHARDS = {"urgent": ["critical-alert"]}


class Sink:
    def write(self, events: list[Event]) -> None: ...


def finish(store: JobStore, queue: str, *ids: str) -> None:
    """Each job makes an entry of its own."""
    store.enqueue([NewJob(job_id, queue, "report", b"") for job_id in ids])
    for job_id in ids:
        (job,) = store.fetch(FetchRequest("w", f"for-{job_id}", 1, {queue: 1})).jobs
        store.settle("w", [Verdict(job.id, job.token, Outcome.COMPLETED)])


def test_entries_are_counted_until_their_rows_are_stored(redis_address: RedisAddress, namespace: str) -> None:
    topology = Topology(lambda: redis_address, namespace)
    store = topology.store()
    assert stream_lag(topology, "audit") == StreamLag(0, 0)

    finish(store, "reports", "one", "two", "three")
    never_there = stream_lag(topology, "audit")
    batch = store.read_events("audit", "w1", 10)
    in_hand = stream_lag(topology, "audit")
    finish(store, "reports", "four")
    both = stream_lag(topology, "audit")

    assert (never_there.entries, in_hand.entries, both.entries) == (3, 3, 4)
    eventually(lambda: stream_lag(topology, "audit").oldest_ms > 0)
    store.ack_events("audit", [event.id for event in batch.events])
    relay = Relay(store, Sink, "audit", "w1")
    while relay.carry():
        pass
    assert stream_lag(topology, "audit") == StreamLag(0, 0)
    store.close()


def test_the_lags_of_all_shards_are_summed(redis_address: RedisAddress) -> None:
    topology = Topology(lambda: redis_address, f"test-{uuid.uuid4().hex[:12]}", SHARDS)
    store = topology.store()
    finish(store, "reports", "one")
    finish(store, "critical-alert", "two", "three")
    assert stream_lag(topology, "audit").entries == 3
    store.close()
