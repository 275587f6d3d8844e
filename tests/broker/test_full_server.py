"""A server at maxmemory: new jobs are refused with a sentence, work still drains (DESIGN section 4)."""

import uuid
from collections.abc import Iterator

import pytest
import redis

from broker.redis.connection import RedisAddress
from broker.redis.embedded import EmbeddedServer
from broker.redis.redis_store import RedisStore
from jobs.errors import StoreFull
from jobs.model import FetchRequest, NewJob, Outcome, Settled, Verdict, WorkerInfo
from jobs.states import JobState
from tests.broker.full import at_maxmemory
from tests.waiting import eventually

QUEUE = "reports"


@pytest.fixture(scope="module")
def own_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisAddress]:
    server = EmbeddedServer(tmp_path_factory.mktemp("full"), durable=False)
    yield server.start()
    server.stop()


@pytest.fixture(params=["as found", "6.2"])
def own_store(
    request: pytest.FixtureRequest, own_address: RedisAddress, namespace: str
) -> Iterator[RedisStore]:
    """Once as the server's version wants it (script flags from Redis 7 on), once as Redis 6.2 needs it."""
    store = RedisStore(lambda: own_address, namespace)
    store.ping()
    if request.param == "6.2":
        store._link._open().scripts._flags = False
    yield store
    store.close()


def jobs(*ids: str) -> list[NewJob]:
    return [NewJob(job_id, QUEUE, "report", b"{}") for job_id in ids]


def request(token: str, owner: str = "w", lease_ms: int = 15_000) -> FetchRequest:
    return FetchRequest(owner, token, 1, {QUEUE: 1}, lease_ms)


def test_a_full_server_refuses_jobs_and_lets_work_drain(
    own_store: RedisStore, own_address: RedisAddress
) -> None:
    worker = WorkerInfo("w", "host", 1, "0.1.0", 2, (QUEUE,), started_at=0)
    RedisStore(lambda: own_address, own_store.keys.namespace).read_events("audit", "another process")
    own_store.enqueue([*jobs("one", "two", "three"), NewJob("due", QUEUE, "report", b"{}", delay_ms=1)])
    with at_maxmemory(own_address):
        with pytest.raises(StoreFull, match=r"maxmemory.*drain it or raise maxmemory"):
            own_store.enqueue(jobs("four"))

        own_store.register(worker, 15_000)
        (one,) = own_store.fetch(request("t1")).jobs
        assert own_store.renew("w", 15_000)
        own_store.report_progress("w", {"one": (one.token, b'{"percent":50}')})
        done = Verdict("one", one.token, Outcome.COMPLETED, record=b'{"result":1}')
        (settled,), fetched = own_store.settle_and_fetch([done], request("t2"))
        assert settled is Settled.STORED
        (two,) = fetched.jobs
        assert own_store.settle("w", [Verdict("two", two.token, Outcome.RETRY, delay_ms=60_000)]) == [
            Settled.STORED
        ]
        own_store.offer([QUEUE])
        own_store.fetch(request("t3", "dead", lease_ms=1))
        eventually(lambda: own_store.reclaim(3))
        assert own_store.stats([QUEUE])[0].delayed == 1
        assert len(own_store.read_events("audit", "me").events) == 3
        assert own_store.drain(QUEUE)

    assert own_store.enqueue(jobs("four"))[0].created
    assert own_store.get("one").state is JobState.COMPLETED  # type: ignore[union-attr]


def test_a_refused_enqueue_leaves_nothing_behind(own_store: RedisStore, own_address: RedisAddress) -> None:
    own_store.enqueue(jobs("one"))
    before = contents(own_address, own_store)
    with at_maxmemory(own_address), pytest.raises(StoreFull):
        own_store.enqueue(jobs("two", "three"))
    assert contents(own_address, own_store) == before


def test_a_store_opened_while_the_server_is_full_works_too(own_address: RedisAddress, namespace: str) -> None:
    RedisStore(lambda: own_address, namespace).enqueue(jobs("one"))
    with redis.Redis.from_url(own_address.url) as client:
        client.script_flush()
    late = RedisStore(lambda: own_address, namespace)
    with at_maxmemory(own_address):
        assert [job.id for job in late.fetch(request("t1")).jobs] == ["one"]
        with pytest.raises(StoreFull):
            late.enqueue(jobs("two"))


def test_an_event_stream_at_its_cap_refuses_jobs_and_still_settles(own_store: RedisStore) -> None:
    own_store._events_cap = 100  # bytes
    own_store.read_events("audit", "me")  # there is a reader, and it falls behind
    own_store.enqueue(jobs("one", "two", "three"))
    settle_all(own_store, 2)
    with pytest.raises(StoreFull, match=r"the event stream holds .* bytes that no reader has dealt with"):
        own_store.enqueue(jobs("four", "five"))
    settle_all(own_store, 1)

    events = own_store.read_events("audit", "me").events
    assert len(events) == 3
    own_store.ack_events("audit", [event.id for event in events])
    assert own_store.enqueue(jobs("four", "five"))[0].created


def test_events_that_nobody_reads_are_no_reason_to_refuse_jobs(own_store: RedisStore) -> None:
    own_store._events_cap = 100
    own_store.enqueue(jobs("one", "two", "three"))
    settle_all(own_store, 3)
    assert own_store.enqueue(jobs("four", "five"))[0].created


def settle_all(store: RedisStore, count: int) -> None:
    for _ in range(count):
        (job,) = store.fetch(request(uuid.uuid4().hex)).jobs
        store.settle("w", [Verdict(job.id, job.token, Outcome.COMPLETED)])


def contents(address: RedisAddress, store: RedisStore) -> dict[bytes, bytes | None]:
    with redis.Redis.from_url(address.url) as client:
        return {key: client.dump(key) for key in client.scan_iter(match=f"{store.keys.namespace}:*")}
