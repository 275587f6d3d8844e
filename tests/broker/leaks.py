"""Finds keys that would stay in a server for ever without anybody having meant it."""

import redis

from broker.redis.connection import RedisAddress
from broker.redis.keys import PERMANENT


def leaked_keys(address: RedisAddress, namespace: str) -> list[str]:
    """Keys of the namespace that neither expire nor are listed in PERMANENT."""
    prefix = f"{namespace}:{{main}}:"
    with redis.Redis.from_url(address.url) as client:
        return [
            key
            for key in (raw.decode() for raw in client.scan_iter(match=f"{namespace}*", count=1000))
            if client.ttl(key) == -1 and not _is_permanent(key.removeprefix(prefix))
        ]


def _is_permanent(name: str) -> bool:
    kind, separator, queue = name.partition(":")
    if kind == "wake":
        return bool(separator and queue)  # one list for each queue
    return kind in PERMANENT and not separator
