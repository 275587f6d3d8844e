"""The relay carries every event to its sink at least once, whatever sink, server or process do."""

import threading
from collections.abc import Sequence

import pytest
import redis

import broker.redis.event_stream
import broker.worker.relay
from broker.redis.embedded import EmbeddedServer
from broker.redis.redis_store import RedisStore
from broker.worker.leases import LeaseKeeper
from broker.worker.relay import Relay
from jobs.errors import CallboardError
from jobs.model import Event, FetchRequest, NewJob, Outcome, Verdict
from tests.waiting import eventually

QUEUE = "reports"


class Database:
    """A sink that keeps single rows and is away for the next `away` writes."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], Event] = {}
        self.writes: list[list[str]] = []
        self.away = 0

    def write(self, events: Sequence[Event]) -> None:
        self.writes.append([event.job_id for event in events])
        if self.away:
            self.away -= 1
            raise CallboardError("the database is away")
        self.rows |= {(event.job_id, event.token): event for event in events}


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def relay(store: RedisStore, database: Database) -> Relay:
    return Relay(store, lambda: database, "audit", "process-1")


def settle_jobs(store: RedisStore, *ids: str) -> None:
    store.enqueue([NewJob(job_id, QUEUE, "report", b"{}") for job_id in ids])
    for job_id in ids:
        (job,) = store.fetch(FetchRequest("w", f"for-{job_id}", 1, {QUEUE: 1})).jobs
        store.settle("w", [Verdict(job.id, job.token, Outcome.COMPLETED)])


def test_events_come_in_order_and_are_dropped_once_stored(
    store: RedisStore, relay: Relay, database: Database, client: "redis.Redis"
) -> None:
    settle_jobs(store, "one", "two")
    assert relay.carry() == 2
    assert database.writes == [["one", "two"]]
    assert relay.carry() == 0
    assert client.xlen(store.keys.of("events")) == 0


def test_batches_are_bounded(
    store: RedisStore, relay: Relay, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker.worker.relay, "BATCH", 2)
    monkeypatch.setattr(broker.redis.event_stream, "EVENTS_AN_ENTRY", 1)
    settle_jobs(store, "1", "2", "3", "4", "5")
    assert [relay.carry() for _ in range(4)] == [2, 2, 1, 0]
    assert len(database.rows) == 5


def test_a_sink_that_is_away_loses_nothing_and_gets_the_same_events_again(
    store: RedisStore, relay: Relay, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker.worker.relay, "BATCH", 2)
    monkeypatch.setattr(broker.redis.event_stream, "EVENTS_AN_ENTRY", 1)
    settle_jobs(store, "1", "2", "3")
    database.away = 3
    for _ in range(3):
        with pytest.raises(CallboardError, match="the database is away"):
            relay.carry()
    assert relay.carry() + relay.carry() == 3
    assert database.writes == [["1", "2"]] * 4 + [["3"]], "no more than one batch is in hand"


def test_the_thread_goes_on_after_an_outage(
    store: RedisStore, relay: Relay, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    database.away = 2
    relay.start()
    settle_jobs(store, "one", "two", "three")
    eventually(lambda: len(database.rows) == 3)
    relay.stop()
    settle_jobs(store, "last")  # ends the blocking read
    relay.join(20.0)
    assert not relay.is_alive()
    said = [record.message for record in caplog.records if record.name == "broker.worker.relay"]
    assert said == ["Events for audit wait: the database is away"], "once, not at every try"


def test_events_of_a_dead_process_are_taken_over(
    store: RedisStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle_jobs(store, "one", "two")
    dies = Database()
    dies.away = 1
    with pytest.raises(CallboardError):
        Relay(store, lambda: dies, "audit", "dead").carry()

    survivor = Relay(store, lambda: database, "audit", "alive")
    assert survivor.carry() == 0, "they may still be in good hands"
    monkeypatch.setattr(broker.redis.event_stream, "READER_IDLE_MS", 0)
    assert eventually(survivor.carry) == 2
    assert sorted(job_id for job_id, _ in database.rows) == ["one", "two"]


def test_a_process_that_comes_back_after_the_take_over_makes_no_second_rows(
    store: RedisStore, relay: Relay, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle_jobs(store, "one")
    database.away = 1
    with pytest.raises(CallboardError):
        relay.carry()
    monkeypatch.setattr(broker.redis.event_stream, "READER_IDLE_MS", 0)
    eventually(Relay(store, lambda: database, "audit", "other").carry)
    relay.carry()
    assert database.writes == [["one"]] * 3
    assert len(database.rows) == 1
    assert store.read_events("audit", "x").lag == 0


def test_many_small_entries_are_carried_without_a_pause_between_them(
    store: RedisStore, relay: Relay, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One read takes a limited number of entries, and each of these holds the event of a single job."""
    monkeypatch.setattr(broker.worker.relay, "LINGER_S", 600.0)
    settle_jobs(store, *map(str, range(60)))
    relay.start()
    eventually(lambda: len(database.rows) == 60)
    relay.stop()
    relay.join(20.0)


def test_processes_share_the_events(store: RedisStore, database: Database) -> None:
    relays = [Relay(store, lambda: database, "audit", f"process-{n}") for n in range(2)]
    settle_jobs(store, "1", "2", "3")
    assert sum(relay.carry() for relay in relays) == 3
    assert len([job_id for batch in database.writes for job_id in batch]) == 3


def test_a_reader_finds_its_place_again_on_a_server_that_lost_its_data(
    tmp_path_factory: pytest.TempPathFactory, database: Database
) -> None:
    server = EmbeddedServer(tmp_path_factory.mktemp("lost"), durable=False)
    address = server.start()
    store = RedisStore(lambda: address)
    relay = Relay(store, lambda: database, "audit", "process-1")
    settle_jobs(store, "before")
    assert relay.carry() == 1
    with redis.Redis.from_url(address.url) as client:
        client.flushall()
    settle_jobs(store, "after")
    assert eventually(relay.carry) == 1
    store.close()
    server.stop()


def test_the_beat_is_renewed_around_each_write(store: RedisStore) -> None:
    """To read the events and to store them may take long; both together are no standstill."""
    beats = list[float]()

    class Slow(Database):
        def write(self, events: Sequence[Event]) -> None:
            beats.append(relay.beat)
            relay.beat = 0.0

    relay = Relay(store, Slow, "audit", "process-1")
    relay.beat = 0.0
    settle_jobs(store, "one")
    assert relay.carry() == 1
    assert beats[0] > 0
    assert relay.beat > 0


def test_a_relay_that_is_stuck_in_its_sink_is_noticed(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its events would wait for as long as the process lives."""
    monkeypatch.setattr("broker.worker.leases.WEDGED_S", 2.0)
    monkeypatch.setattr("broker.worker.relay.BLOCK_MS", 50)
    go_on = threading.Event()

    class Stuck(Database):
        def write(self, events: Sequence[Event]) -> None:
            go_on.wait(50)

    relay = Relay(store, Stuck, "audit", "process-1")
    keeper = LeaseKeeper(dict, {}, lambda: {"audit": relay})
    relay.start()
    assert keeper._fault() is None
    settle_jobs(store, "one")
    eventually(lambda: keeper._fault() == "The audit thread has not moved for 2 s")
    go_on.set()
    eventually(lambda: keeper._fault() is None)
    relay.stop()
    relay.join(20)
