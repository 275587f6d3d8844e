"""Whose turn it is: the shards of a store share the threads of a process.

Used by `holdings` under its lock.
"""

#: So long, in seconds, threads are kept free for a shard that wants them and does not come: its server may
#: not answer.
WAIT_S = 0.05


class Turns:
    """Parts the free threads among the shards that are known to have work; a single thread goes to the one
    that was served longest ago."""

    def __init__(self) -> None:
        #: Shards that asked when nothing was free, and since when threads are kept for each (None: not yet).
        #: How long ago they asked says nothing: as long as the jobs run that have the threads.
        self._wanting: dict[str, float | None] = {}
        self._served: dict[str, int] = {}
        self._count = 0

    def part(self, shard: str, free: int, eager: bool, now: float) -> int:
        """How many of `free` threads this shard may fetch for. One that is `eager` and gets none is
        remembered, until it gets some or `passes`."""
        others = self._kept_for_others(shard, now) if free > 0 else []
        part = max(0, free) // (len(others) + 1)
        mine = self._served.get(shard, 0)
        before = sum(self._served.get(other, 0) < mine for other in others)
        part += before < max(0, free) % (len(others) + 1)
        if part:
            self._count += 1
            self._served[shard] = self._count
            self._wanting.pop(shard, None)
        elif eager:
            self._wanting[shard] = None
        return part

    def passes(self, shard: str) -> None:
        """The shard cannot use a thread now: it has no queue with room, or its server is away."""
        self._wanting.pop(shard, None)

    def _kept_for_others(self, shard: str, now: float) -> list[str]:
        """The other shards that want threads and were not waited for too long."""
        for other, since in list(self._wanting.items()):
            if other == shard:
                continue
            if since is None:
                self._wanting[other] = now
            elif now - since >= WAIT_S:
                del self._wanting[other]
        return [other for other in self._wanting if other != shard]
