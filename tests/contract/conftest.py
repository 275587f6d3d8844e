"""Both stores, behind one fixture, on a clock that the test moves."""

from collections.abc import Iterator

import pytest

from broker.redis.connection import RedisAddress
from jobs.memory import MemoryStore
from jobs.store import JobStore
from tests.broker.census import check_census
from tests.broker.leaks import leaked_keys
from tests.contract.clock import Clock, redis_store_with


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest, namespace: str, clock: Clock) -> Iterator[JobStore]:
    if request.param == "memory":
        yield MemoryStore(clock)
        return
    address: RedisAddress = request.getfixturevalue("redis_address")
    store = redis_store_with(clock, address, namespace)
    yield store
    store.close()
    assert leaked_keys(address, namespace) == []
    check_census(address, store.keys, clock.now)
