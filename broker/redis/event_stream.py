"""The stream of events on Redis, with groups of readers that each get everything."""

from collections.abc import Collection, Sequence
from typing import Any

import redis
from redis.exceptions import OutOfMemoryError, ResponseError

from broker.redis.link import BLOCK_LONGEST_MS, Link
from broker.redis.records import unpack_events
from jobs.model import Event, EventBatch

#: A reader that keeps events longer than this is taken for dead; another takes them over.
READER_IDLE_MS = 30_000
#: Looking for what dead readers left costs a round trip, so it is not done at every read.
LOOK_BACK_EVERY = 20
#: An entry holds the events of one call, some dozens at full speed.
EVENTS_AN_ENTRY = 10
Entry = tuple[bytes, dict[bytes, bytes]]
#: What Redis says of a stream or group that was there a moment ago.
STREAM_GONE = ("NOGROUP", "UNBLOCKED", "no such key")


class EventStream:
    """The events of one shard."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._stream = link.keys.of("events")
        self._readers: set[str] = set()
        self._surplus: dict[tuple[str, str], list[Entry]] = {}  # read from the server, not given out yet
        self._reads = 0

    def read(self, reader: str, consumer: str, limit: int, block_ms: int) -> EventBatch:
        """Up to `limit` events and the rest of the last one's entry; first those a dead consumer left."""
        entries = self._surplus.pop((reader, consumer), [])
        lag = len(entries)
        if not entries:
            entries, lag = self._from_server(reader, consumer, max(1, limit // EVENTS_AN_ENTRY), block_ms)
        events: list[Event] = []
        for number, (entry_id, fields) in enumerate(entries):
            if len(events) >= limit:
                self._surplus[reader, consumer] = entries[number:]
                break
            events += unpack_events(entry_id, fields[b"e"])
        return EventBatch(events, lag)

    def _from_server(self, reader: str, consumer: str, count: int, block_ms: int) -> tuple[list[Entry], int]:
        with self._link.talking() as opened:
            self._join(opened.client, reader)
            try:
                entries = self._left_behind(opened.client, reader, consumer, count)
                entries = entries or self._next(opened.blocking, reader, consumer, count, block_ms)
                lag = self._lag(opened.client, reader) if entries else 0
            except ResponseError as error:
                if not str(error).startswith(STREAM_GONE):
                    raise
                self._readers.discard(reader)  # the server lost its data; the group is made anew next time
                return [], 0
        return entries, lag

    def acknowledge(self, reader: str, ids: Sequence[str]) -> None:
        """Mark the entries of these events as dealt with."""
        if ids:
            # An event's id is its entry's and its number in it; a batch holds whole entries.
            entries = dict.fromkeys(event_id.partition("/")[0] for event_id in ids)
            self._link.run("ack_events", [reader, *entries])

    def keep_readers(self, readers: Collection[str]) -> None:
        """Forget all other readers."""
        with self._link.talking() as opened:
            try:
                groups = opened.client.xinfo_groups(self._stream)
            except ResponseError:
                return  # no stream yet
            for group in groups:
                if (name := group["name"].decode()) not in readers:
                    opened.client.xgroup_destroy(self._stream, name)
            for reader in readers:
                self._forget_dead_consumers(opened.client, reader)

    def _left_behind(self, client: redis.Redis, reader: str, consumer: str, count: int) -> list[Entry]:
        self._reads += 1
        if self._reads % LOOK_BACK_EVERY != 1:
            return []
        found: Any = client.xautoclaim(
            self._stream, reader, consumer, min_idle_time=READER_IDLE_MS, start_id="0-0", count=count
        )
        entries: list[Entry] = found[1]
        return entries

    def _next(
        self, blocking: redis.Redis, reader: str, consumer: str, count: int, block_ms: int
    ) -> list[Entry]:
        wait = min(block_ms, BLOCK_LONGEST_MS) or None
        reply: Any = blocking.xreadgroup(reader, consumer, {self._stream: ">"}, count=count, block=wait)
        entries: list[Entry] = reply[0][1] if reply else []
        return entries

    def _lag(self, client: redis.Redis, reader: str) -> int:
        for group in client.xinfo_groups(self._stream):
            if group["name"] == reader.encode():
                return int(group.get("lag") or 0) + int(group.get("pending") or 0)
        return 0

    def _join(self, client: redis.Redis, reader: str) -> None:
        if reader in self._readers:
            return
        try:
            client.xgroup_create(self._stream, reader, id="0", mkstream=True)
        except OutOfMemoryError:
            return  # a full server makes no group, yet one that is there can be read, which makes room
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        self._readers.add(reader)

    def _forget_dead_consumers(self, client: redis.Redis, reader: str) -> None:
        day_ms = 24 * 3_600_000
        try:
            consumers = client.xinfo_consumers(self._stream, reader)
        except ResponseError:
            return  # nobody has read yet
        for consumer in consumers:
            if consumer["pending"] == 0 and consumer["idle"] > day_ms:
                client.xgroup_delconsumer(self._stream, reader, consumer["name"])
