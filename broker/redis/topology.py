"""From where Redis is and how its queues are parted to the store of jobs; and the same told to a helper."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from broker.redis.connection import RedisAddress, connect, plain_errors
from broker.redis.facts import read_nodes
from broker.redis.places import MAIN_SHARD
from broker.redis.redis_store import RedisStore
from broker.redis.sharded_store import ShardedStore
from jobs.store import JobStore


@dataclass(frozen=True, slots=True)
class Topology:
    """`find` gives the address, whatever shard it names; `shards` are the queues of each but `main`."""

    find: Callable[[], RedisAddress]
    namespace: str = "callboard"
    shards: Mapping[str, Collection[str]] = field(default_factory=dict)

    def store(self) -> JobStore:
        """The store of all shards. No I/O; `find` is asked at the first call."""
        queues = {queue: shard for shard, named in self.shards.items() for queue in named}
        names = dict.fromkeys([MAIN_SHARD, *self.shards])
        if len(names) == 1:
            return self.part(MAIN_SHARD)
        return ShardedStore({name: self.part(name) for name in names}, queues)

    def describe(self) -> dict[str, Any]:
        """What another process needs to make the same store, for JSON. It holds the password.

        Raises StoreUnavailable when the address is not known yet.
        """
        return {
            "url": self.find().url,
            "namespace": self.namespace,
            "shards": {shard: list(queues) for shard, queues in self.shards.items()},
        }

    @classmethod
    def from_description(cls, told: Mapping[str, Any]) -> "Topology":
        """The reverse of `describe`; other keys are left alone."""
        address = RedisAddress(told["url"])
        return cls(lambda: address, told["namespace"], told["shards"])

    def part(self, shard: str) -> RedisStore:
        """The store of one shard alone, whether the settings name it or not."""
        return RedisStore(lambda: self.find().of_shard(shard), self.namespace, shard)


class Stray(NamedTuple):
    """Jobs of a queue in a shard that the settings do not give it (any more): no worker looks there."""

    queue: str
    shard: str
    jobs: int


def stray_jobs(topology: Topology, queues: Sequence[str]) -> list[Stray]:
    """Unfinished jobs of `queues` that lie in another shard than theirs, for a doctor to warn of.

    Also in shards that the settings no longer name. Raises StoreUnavailable.
    """
    store = topology.store()
    found: list[Stray] = []
    for shard in _shards_on_the_server(topology) | {MAIN_SHARD, *topology.shards}:
        part = topology.part(shard)
        for row in part.stats(queues):
            jobs = row.waiting + row.delayed + row.active + row.blocked
            if jobs and store.shard_of(row.queue) != shard:
                found.append(Stray(row.queue, shard, jobs))
        part.close()
    store.close()
    return sorted(found)


def _shards_on_the_server(topology: Topology) -> set[str]:
    """The shards of this namespace that have keys, on whatever node."""
    address, found = topology.find(), set()
    prefix = f"{topology.namespace}:{{".encode()
    for node in read_nodes(address):
        with plain_errors(node), connect(node) as client:
            for key in client.scan_iter(match=prefix + b"*", count=1000):
                found.add(key.removeprefix(prefix).partition(b"}")[0].decode())
    return found
