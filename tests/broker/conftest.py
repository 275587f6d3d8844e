"""A Redis store for each test, and a check after each test that it left no key behind."""

from collections.abc import Iterator

import pytest
import redis

from broker.redis.connection import RedisAddress
from broker.redis.redis_store import RedisStore
from tests.broker.leaks import leaked_keys


@pytest.fixture(autouse=True)
def no_key_is_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Only for tests that use the shared server and a namespace of their own."""
    if not {"redis_address", "namespace"} <= set(request.fixturenames):
        yield
        return
    address = request.getfixturevalue("redis_address")
    namespace = request.getfixturevalue("namespace")
    yield
    assert leaked_keys(address, namespace) == []


@pytest.fixture
def store(redis_address: RedisAddress, namespace: str) -> Iterator[RedisStore]:
    store = RedisStore(lambda: redis_address, namespace)
    yield store
    store.close()


@pytest.fixture
def client(redis_address: RedisAddress) -> Iterator["redis.Redis"]:
    """A plain client, to look behind the store's back."""
    with redis.Redis.from_url(redis_address.url) as client:
        yield client
