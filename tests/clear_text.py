"""Where a text can be read in what an application has on its server."""

from collections.abc import Callable
from typing import Any

import redis

from actors.composition import App

_READ_BY: dict[str, Callable[[Any, Any], Any]] = {
    "string": lambda client, key: client.get(key),
    "hash": lambda client, key: client.hgetall(key),
    "list": lambda client, key: client.lrange(key, 0, -1),
    "set": lambda client, key: client.smembers(key),
    "zset": lambda client, key: client.zrange(key, 0, -1),
    "stream": lambda client, key: client.xrange(key),
    "none": lambda client, key: None,  # it is gone meanwhile
}


def keys_with(app: App, text: str) -> list[str]:
    """The keys of the server that hold the text, or have it in their name."""
    found = []
    with redis.Redis.from_url(app.redis_address().url) as client:
        for key in client.scan_iter(match=f"{app.settings.redis.namespace}:*", count=1_000):
            read = _READ_BY[client.type(key).decode()]
            if text in f"{key!r}{read(client, key)!r}":
                found.append(key.decode())
    return found
