"""A small server of its own that can be filled up."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from broker.redis.connection import RedisAddress


@contextmanager
def at_maxmemory(address: RedisAddress) -> Iterator[None]:
    """While this lasts, the server has less memory than it uses."""
    with redis.Redis.from_url(address.url) as client:
        client.config_set("maxmemory", "1mb")
        try:
            yield
        finally:
            client.config_set("maxmemory", "0")
