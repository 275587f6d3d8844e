"""The event stream of the in-memory store, with readers that each get everything."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from jobs.model import Event, EventBatch

#: A reader that keeps events longer than this is taken for dead; another takes them over.
READER_IDLE_MS = 30_000
#: Without a reader the stream is cut to so many when it has come to the limit.
UNREAD, FEW = 50_000, 1_000
#: So long events that nobody reads are kept for who comes a little late.
UNREAD_KEPT_MS = 60_000


class Given(NamedTuple):
    event: Event
    consumer: str
    at: int


class Reader:
    def __init__(self) -> None:
        self.position = 0
        self.pending: dict[int, Given] = {}


class Stream:
    """Not safe for threads by itself; the store holds its lock."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._readers: dict[str, Reader] = {}
        self._last = 0

    def append(self, event: Event) -> int:
        """Number the event and keep it; returns the number."""
        self._last += 1
        self._events.append(event._replace(id=str(self._last)))
        if len(self._events) >= UNREAD and not self._readers:
            del self._events[:-FEW]
        return self._last

    def has_news(self, reader: str, now: int) -> bool:
        known = self._readers.get(reader, Reader())
        return known.position < self._last or any(map(_left_behind(now), known.pending.values()))

    def read(self, reader: str, consumer: str, limit: int, now: int) -> EventBatch:
        """First what a dead consumer has left, else what is new."""
        known = self._readers.setdefault(reader, Reader())
        left = list(filter(_left_behind(now), known.pending.values()))
        events = [given.event for given in left[:limit]]
        if not events:
            events = [event for event in self._events if int(event.id) > known.position][:limit]
            if events:
                known.position = int(events[-1].id)
        known.pending |= {int(event.id): Given(event, consumer, now) for event in events}
        unread = self._last - known.position
        return EventBatch(events, lag=unread + len(known.pending))

    def acknowledge(self, reader: str, ids: Sequence[str]) -> None:
        """Drop what every reader has dealt with."""
        known = self._readers.setdefault(reader, Reader())
        for event_id in ids:
            known.pending.pop(int(event_id), None)
        self._drop()

    def keep_readers(self, readers: Collection[str]) -> None:
        self._readers = {name: reader for name, reader in self._readers.items() if name in readers}
        self._drop()

    def forget_what_nobody_reads(self, now: int) -> None:
        if not self._readers:
            self._events = [event for event in self._events if event.finished_at > now - UNREAD_KEPT_MS]

    def dealt_with(self, event: int) -> bool:
        """Whether no reader needs this event any more."""
        return event < self._needed_from()

    def _needed_from(self) -> int:
        return min(
            (min(reader.pending, default=reader.position + 1) for reader in self._readers.values()),
            default=self._last + 1,
        )

    def _drop(self) -> None:
        if self._readers:
            needed_from = self._needed_from()
            self._events = [event for event in self._events if int(event.id) >= needed_from]


def _left_behind(now: int):  # type: ignore[no-untyped-def]
    return lambda given: given.at + READER_IDLE_MS <= now
