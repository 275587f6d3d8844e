"""Both stores, behind one fixture."""

from collections.abc import Iterator

import pytest

from broker.connection import RedisAddress
from broker.redis_store import RedisStore
from jobs.memory import MemoryStore
from jobs.store import JobStore
from tests.broker.leaks import leaked_keys


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest, namespace: str) -> Iterator[JobStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    address: RedisAddress = request.getfixturevalue("redis_address")
    store = RedisStore(lambda: address, namespace)
    yield store
    store.close()
    assert leaked_keys(address, namespace) == []
