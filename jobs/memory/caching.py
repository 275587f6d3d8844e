"""Results that answer for later jobs."""

from jobs.model import CACHED_BYTES, MOST_CACHED, CacheEntry


class Cache:
    def __init__(self) -> None:
        self._entries: dict[str, tuple[int, bytes]] = {}

    def keep(self, entry: CacheEntry, now: int) -> None:
        """What is over goes first when there are too many, then what is over next."""
        if len(entry.value) > CACHED_BYTES:
            return
        self._entries[entry.key] = (now + entry.ttl_ms, entry.value)
        for key in [key for key, (ends, _) in self._entries.items() if ends <= now]:
            del self._entries[key]
        size = sum(len(value) for _, value in self._entries.values())
        while len(self._entries) > MOST_CACHED or size > CACHED_BYTES:
            first = min(self._entries, key=lambda key: (self._entries[key][0], key))
            size -= len(self._entries.pop(first)[1])

    def find(self, key: str, now: int) -> bytes | None:
        ends, value = self._entries.get(key, (0, b""))
        return value if ends > now else None

    def clear(self, prefix: str, limit: int) -> int:
        found = [key for key in self._entries if key.startswith(prefix)][: max(0, limit)]
        for key in found:
            del self._entries[key]
        return len(found)
