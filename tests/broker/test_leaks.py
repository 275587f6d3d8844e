"""The guard against forgotten keys, seen to bite."""

import pytest
import redis

from broker.redis.connection import RedisAddress
from tests.broker.leaks import leaked_keys


@pytest.mark.parametrize("name", ["forgotten", "meta:42", "wake:", "wake"])
def test_a_key_that_nobody_listed_is_found(redis_address: RedisAddress, name: str) -> None:
    key = f"leaky:{{main}}:{name}"
    with redis.Redis.from_url(redis_address.url) as client:
        client.set(key, 1)
        assert leaked_keys(redis_address, "leaky") == [key]
        client.expire(key, 60)
        assert leaked_keys(redis_address, "leaky") == []
        client.delete(key)


def test_what_is_listed_may_stay(redis_address: RedisAddress) -> None:
    with redis.Redis.from_url(redis_address.url) as client:
        for name in ("meta", "events", "wake:email-sync"):
            client.set(f"tidy:{{main}}:{name}", 1)
        assert leaked_keys(redis_address, "tidy") == []
