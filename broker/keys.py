"""Every key of ours, in one place. Nothing else builds a key's name.

The hash tag names a shard: all keys of a shard live on one node, so its scripts are atomic. No name
depends on a job: jobs are fields of hashes and members of ordered sets.
"""

from collections.abc import Iterable
from dataclasses import dataclass

#: Keys of a shard that stay for ever, with what they are. `wake:<queue>` lists hold at most one entry.
PERMANENT = {
    "meta": "hash: job id -> packed record",
    "payload": "hash: job id -> encoded message",
    "outcomes": "hash: job id -> result or failure of the last attempt",
    "progress": "hash: job id -> latest progress",
    "waiting": "ordered set, by bytes: queue, lane, priority and sequence, id",
    "ready": "ordered set: queues with waiting jobs, by when they were last served",
    "delayed": "ordered set, by bytes: queue, due time, id",
    "clock": "ordered set: queues by the earliest due time of their delayed jobs",
    "active": "ordered set, by bytes: queue, lane, id",
    "held": "ordered set, by bytes: owner, id",
    "leases": "ordered set: worker processes by the end of their lease",
    "workers": "hash: worker process -> registry entry",
    "requests": "hash: worker process -> its last fetch and what it was given",
    "completed": "ordered set, by bytes: queue, time, id",
    "failed": "ordered set, by bytes: queue, time, id",
    "cancelled": "ordered set, by bytes: queue, time, id",
    "dead": "ordered set, by bytes: dead-letter queue, time, id",
    "markers": "ordered set: ids removed just now, by when they may come again",
    "totals": "hash: queue and word -> count since the beginning",
    "sequence": "number of jobs lined up so far",
    "events": "stream: one entry for each attempt that ended",
    "wake": "lists, one a queue: a wake-up that no idle worker has taken yet",
}


@dataclass(frozen=True, slots=True)
class Keys:
    """Names of one shard's keys. `namespace` keeps installations and tests apart."""

    namespace: str = "callboard"
    shard: str = "main"

    def of(self, name: str) -> str:
        """The full name of one of PERMANENT."""
        if name not in PERMANENT:
            raise KeyError(f"{name!r} is not a key of ours; it must be listed in PERMANENT first")
        return f"{self.namespace}:{{{self.shard}}}:{name}"

    def all_of(self, names: Iterable[str]) -> list[str]:
        return [self.of(name) for name in names]

    def wake(self, queue: str) -> str:
        return f"{self.of('wake')}:{queue}"
