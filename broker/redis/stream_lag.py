"""How far a reader of the event stream is behind, asked of the server by somebody who reads nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import redis
from redis.exceptions import ResponseError

from broker.redis.connection import RedisAddress, connect, plain_errors
from broker.redis.keys import Keys
from broker.redis.places import MAIN_SHARD
from broker.redis.topology import Topology


@dataclass(frozen=True, slots=True)
class StreamLag:
    """Entries of the stream that a reader has not dealt with; each holds up to some dozens of events.

    `oldest_ms` is for how long the oldest of them has been there, 0 when there is none.
    """

    entries: int = 0
    oldest_ms: int = 0


def stream_lag(topology: Topology, reader: str) -> StreamLag:
    """The lag over all shards. A reader that never was there is behind with everything.

    Raises StoreUnavailable.
    """
    found = [_of_shard(topology, shard, reader) for shard in dict.fromkeys([MAIN_SHARD, *topology.shards])]
    return StreamLag(sum(one.entries for one in found), max(one.oldest_ms for one in found))


def _of_shard(topology: Topology, shard: str, reader: str) -> StreamLag:
    address: RedisAddress = topology.find().of_shard(shard)
    stream = Keys(topology.namespace, shard).of("events")
    with plain_errors(address), connect(address, tries_again=0) as client:
        try:
            groups: Iterable[dict[str, Any]] = client.xinfo_groups(stream)
        except ResponseError:
            return StreamLag()  # no stream yet
        group = next((one for one in groups if one["name"] == reader.encode()), None)
        if group is None:
            return _behind_all(client, stream)
        pending = int(group["pending"])
        first = client.xpending(stream, reader)["min"] if pending else None
        after: Any = client.xrange(stream, min=b"(" + group["last-delivered-id"], count=1)
        # A server before 7.0 does not count what was not read; then its length bounds it from above.
        unread = group.get("lag")
        if unread is None:
            unread = max(0, client.xlen(stream) - pending) if after else 0
        return StreamLag(int(unread) + pending, _age(client, first or (after[0][0] if after else None)))


def _behind_all(client: redis.Redis, stream: str) -> StreamLag:
    first: Any = client.xrange(stream, count=1)
    return StreamLag(int(client.xlen(stream)), _age(client, first[0][0] if first else None))


def _age(client: redis.Redis, entry: bytes | None) -> int:
    """How old an entry is by the server's clock, which made its id."""
    if entry is None:
        return 0
    seconds, micros = client.time()
    return max(0, int(seconds) * 1000 + int(micros) // 1000 - int(entry.partition(b"-")[0]))
