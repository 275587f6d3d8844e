"""Whose turn it is: the shards of a store share the threads of a process.

Used by `holdings` under its lock.
"""

#: A shard that has not come back for its thread after so long, in seconds, is waited for no more: its
#: server may not answer.
WAIT_S = 0.05


class Turns:
    """Parts the free threads among the shards that are known to have work; a single thread goes to the one
    that was served longest ago."""

    def __init__(self) -> None:
        self._wanting: dict[str, float] = {}  # since when
        self._served: dict[str, int] = {}
        self._count = 0

    def part(self, shard: str, free: int, eager: bool, now: float) -> int:
        """How many of `free` threads this shard may fetch for. One that is `eager` and gets none is
        remembered, until it gets some or `passes`."""
        others = [other for other, since in self._wanting.items() if other != shard and now - since < WAIT_S]
        part = max(0, free) // (len(others) + 1)
        mine = self._served.get(shard, 0)
        before = sum(self._served.get(other, 0) < mine for other in others)
        part += before < max(0, free) % (len(others) + 1)
        if part:
            self._count += 1
            self._served[shard] = self._count
            self._wanting.pop(shard, None)
        elif eager:
            self._wanting[shard] = now
        return part

    def passes(self, shard: str) -> None:
        """The shard cannot use a thread now: it has no queue with room, or its server is away."""
        self._wanting.pop(shard, None)
