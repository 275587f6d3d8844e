"""The events of several shards as one stream for those who read them all."""

from collections.abc import Mapping, Sequence

from jobs.model import EventBatch
from jobs.store import JobStore

_BETWEEN = ":"  # no name of a shard holds one


class ShardEvents:
    """An event's id begins with its shard. Within a shard the order is kept, between them there is none."""

    def __init__(self, shards: Mapping[str, JobStore]) -> None:
        self._shards = shards
        self._waits_at = 0

    def read(self, reader: str, consumer: str, limit: int, block_ms: int) -> EventBatch:
        """What is there in any shard; where there is nothing, wait at one, each time at another."""
        batches = {shard: store.read_events(reader, consumer, limit) for shard, store in self._shards.items()}
        if block_ms and not any(batch.events for batch in batches.values()):
            names = list(self._shards)
            self._waits_at = (self._waits_at + 1) % len(names)
            shard = names[self._waits_at]
            batches[shard] = self._shards[shard].read_events(reader, consumer, limit, block_ms)
        events = [
            event._replace(id=f"{shard}{_BETWEEN}{event.id}")
            for shard, batch in batches.items()
            for event in batch.events
        ]
        return EventBatch(events, sum(batch.lag for batch in batches.values()))

    def acknowledge(self, reader: str, ids: Sequence[str]) -> None:
        by_shard: dict[str, list[str]] = {}
        for event_id in ids:
            shard, _, inner = event_id.partition(_BETWEEN)
            by_shard.setdefault(shard, []).append(inner)
        for shard, inner_ids in by_shard.items():
            self._shards[shard].ack_events(reader, inner_ids)
