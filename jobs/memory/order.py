"""Lines of waiting jobs and the order in which they are served. Knows nothing of limits.

A line is the jobs of one queue, band, lane and gate. It is awake, rests, or is empty. Start-time fair
queueing: the awake line with the lowest virtual time is served and pays for it, and a line that wakes
begins no earlier than its band (Goyal, Vin, Cheng 1996).
"""

import math
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

#: What one job costs a line of weight 1.
UNIT = 1_000_000
#: Of so many starts at least one goes to a lower band, or to a queue of a lower class.
ONE_START_IN = 20


class LineKey(NamedTuple):
    queue: str
    band: int
    lane: str
    gate: str


class Line:
    """`jobs` by priority, place and id."""

    __slots__ = ("awake", "jobs", "key", "vt")

    def __init__(self, key: LineKey) -> None:
        self.key = key
        self.jobs: list[tuple[int, int, str]] = []
        self.vt = 0
        self.awake = False

    @property
    def rests(self) -> bool:
        return bool(self.jobs) and not self.awake

    @property
    def turn(self) -> tuple[int, str, str]:
        return (self.vt, self.key.lane, self.key.gate)


class Lines:
    def __init__(self) -> None:
        self._lines: dict[LineKey, Line] = {}
        self._order: dict[tuple[str, int], list[tuple[int, str, str]]] = defaultdict(list)
        self._band_vt: dict[tuple[str, int], int] = defaultdict(int)
        self._crowd: Counter[tuple[str, int, str]] = Counter()
        self._timed: dict[LineKey, int] = {}
        self._starts: dict[str, Starts] = defaultdict(Starts)

    def add(self, key: LineKey, entry: tuple[int, int, str]) -> bool:
        """Put a job into its line; True when the line woke by it."""
        line = self._lines.setdefault(key, Line(key))
        insort(line.jobs, entry)
        if len(line.jobs) > 1:
            return False
        self._awaken(line)
        return True

    def discard(self, key: LineKey, entry: tuple[int, int, str]) -> None:
        line = self._lines[key]
        del line.jobs[bisect_left(line.jobs, entry)]
        if not line.jobs:
            self._put_out(line)
            self._timed.pop(key, None)

    def rest(self, line: Line, until: int | None) -> None:
        """Take an awake line out of the order; `until` None: until somebody wakes it."""
        self._put_out(line)
        if until is not None:
            self._timed[line.key] = until

    def wake(self, key: LineKey) -> bool:
        """End the rest of a line, whatever it was for; True when it has jobs and rested."""
        line = self._lines.get(key)
        if line is None or not line.rests:
            return False
        self._timed.pop(key, None)
        self._awaken(line)
        return True

    def first(self, queue: str, band: int) -> Line | None:
        order = self._order[queue, band]
        return self._lines[LineKey(queue, band, *order[0][1:])] if order else None

    def bands(self, queue: str) -> list[int]:
        """The bands with awake lines, the first to be served first."""
        return sorted(band for (name, band), order in self._order.items() if name == queue and order)

    def charge(self, line: Line, cost: float, weight: float) -> int:
        """A job of the line starts: the line moves back in the order. Returns what it paid."""
        key = line.key
        paid = max(1, math.floor(UNIT * cost * self._crowd[key[:3]] / weight + 0.5))
        self._band_vt[key.queue, key.band] = max(self._band_vt[key.queue, key.band], line.vt)
        self._set_vt(line, line.vt + paid)
        return paid

    def refund(self, key: LineKey, paid: int) -> None:
        line = self._lines[key]
        self._set_vt(line, max(0, line.vt - paid))

    def starts_of(self, queue: str) -> "Starts":
        return self._starts[queue]

    def of(self, queue: str, lane: str | None = None, gate: str | None = None) -> list[Line]:
        """The lines with jobs of a queue, or of one lane or gate of it."""
        return [
            line
            for key, line in self._lines.items()
            if key.queue == queue and lane in (None, key.lane) and gate in (None, key.gate) and line.jobs
        ]

    def get(self, key: LineKey) -> Line:
        return self._lines[key]

    def rest_over(self, now: int) -> list[LineKey]:
        return [key for key, until in self._timed.items() if until <= now]

    def rests_until(self, key: LineKey) -> int | None:
        """When a line's rest ends, if it has an end of its own."""
        return self._timed.get(key)

    def timers(self) -> Iterator[tuple[int, str]]:
        """When lines wake by themselves, with their queue."""
        return ((until, key.queue) for key, until in self._timed.items())

    def forget_starts(self, queue: str) -> None:
        """Virtual times stay: what still runs may come back to its line."""
        self._starts.pop(queue, None)

    def _awaken(self, line: Line) -> None:
        key = line.key
        # A moment before its band, so that a job that comes alone need not wait for all equal lines.
        line.vt = max(line.vt, self._band_vt[key.queue, key.band] - 1)
        line.awake = True
        self._crowd[key[:3]] += 1
        insort(self._order[key.queue, key.band], line.turn)

    def _put_out(self, line: Line) -> None:
        if line.awake:
            order = self._order[line.key.queue, line.key.band]
            del order[bisect_left(order, line.turn)]
            line.awake = False
            self._crowd[line.key[:3]] -= 1

    def _set_vt(self, line: Line, vt: int) -> None:
        if line.awake:
            order = self._order[line.key.queue, line.key.band]
            del order[bisect_left(order, line.turn)]
            line.vt = vt
            insort(order, line.turn)
        else:
            line.vt = vt


class Starts:
    """Keeps the bands of one queue from starving: `choose` says which goes on, and for how many jobs."""

    def __init__(self) -> None:
        self._count = 0
        self._last: dict[int, int] = {}
        self._seen: dict[int, int] | None = None

    def choose(self, bands: list[int], share: int) -> tuple[int, int]:
        first, *lower = bands
        if not lower:
            self._count, self._last, self._seen = 0, {}, None
            return first, share
        count = self._count
        seen = self._seen = {band: self._last.get(band, count) for band in bands}
        bound = max(1, ONE_START_IN - len(lower))
        late = [band for band in lower if count - seen[band] >= bound]
        if late:
            return min(late, key=lambda band: (seen[band], band)), 1
        return first, max(1, min(share, *(bound - (count - seen[band]) for band in lower)))

    def served(self, band: int, jobs: int) -> None:
        if self._seen is not None:
            self._count += jobs
            self._last = self._seen | {band: self._count}


class Passed:
    """Keeps queues of lower classes from starving, for one owner: how many starts passed each over."""

    def __init__(self) -> None:
        self._passed: dict[str, int] = {}

    def keep(self, ready: Collection[str]) -> None:
        """Forget queues that are not ready any more."""
        self._passed = {queue: count for queue, count in self._passed.items() if queue in ready}

    def choose(self, ready: Mapping[str, int], share: int) -> tuple[str, int]:
        """Of the `ready` queues and their classes, in their order, the next one and for how many jobs."""
        first, top = next(iter(ready.items()))
        lower = _below(top, ready)
        if not lower:
            return first, share
        passed = {queue: self._passed.get(queue, 0) for queue in lower}
        bound = max(1, ONE_START_IN - len(lower))
        late = [queue for queue in lower if passed[queue] >= bound]
        if late:
            return max(late, key=lambda queue: passed[queue]), 1
        return first, max(1, min(share, *(bound - count for count in passed.values())))

    def served(self, queue: str, jobs: int, ready: Mapping[str, int]) -> None:
        top = next(iter(ready.values()))
        for other in _below(top, ready):
            self._passed[other] = self._passed.get(other, 0) + jobs
        self._passed.pop(queue, None)


def _below(top: int, ready: Mapping[str, int]) -> list[str]:
    return [queue for queue, priority in ready.items() if priority > top]
