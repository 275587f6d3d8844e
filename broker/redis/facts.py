"""What a Redis server says of itself, for `callboard doctor` and `callboard up`."""

import time
from dataclasses import dataclass
from typing import Any

from broker.redis.connection import RedisAddress, connect, plain_errors
from broker.redis.finders import finder_of
from broker.redis.places import url_of


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """`maxmemory` is in bytes, 0 for none; `append_only` is None where the server does not tell;
    `ahead_s` is by how many seconds its clock is before this host's."""

    name: str  # "redis" or "valkey"
    version: tuple[int, int]
    pid: int | None
    append_only: bool | None
    snapshots_failing: bool
    eviction: str
    used_memory: int
    maxmemory: int
    role: str
    ahead_s: float


def read_facts(address: RedisAddress) -> ServerFacts:
    """Ask by INFO, which managed servers allow where they refuse CONFIG. Raises StoreUnavailable."""
    with plain_errors(address), connect(address, tries_again=0) as client:
        info: dict[str, Any] = client.info()
        before = time.time()
        seconds, micros = client.time()
        asked_at = (before + time.time()) / 2  # the answer is of a moment in between
    valkey = info.get("valkey_version")
    version = str(valkey or info.get("redis_version", "0.0")).split(".")
    append_only = info.get("aof_enabled")
    return ServerFacts(
        name="valkey" if valkey else "redis",
        version=(int(version[0]), int(version[1]) if len(version) > 1 else 0),
        pid=info.get("process_id"),
        append_only=None if append_only is None else bool(append_only),
        snapshots_failing=info.get("rdb_last_bgsave_status", "ok") != "ok",
        eviction=str(info.get("maxmemory_policy", "unknown")),
        used_memory=int(info.get("used_memory", 0)),
        maxmemory=int(info.get("maxmemory", 0)),
        role=str(info.get("role", "unknown")),
        ahead_s=seconds + micros / 1_000_000 - asked_at,
    )


def read_nodes(address: RedisAddress) -> list[RedisAddress]:
    """The addresses of all nodes that jobs may be on: of a cluster its masters. Raises StoreUnavailable."""
    with plain_errors(address):
        return [RedisAddress(url_of(node), address.shard) for node in finder_of(address).all_nodes()]
