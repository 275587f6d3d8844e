"""Lines of waiting jobs and the order in which they are served. Knows nothing of limits.

A line is the jobs of one queue, band, lane and gate; the lane is all that may pass its gates. Lane and gate
are awake, rest, or are empty. Start-time fair queueing between the lanes of a band: the awake one with the
lowest virtual time is served and pays for it, and one that wakes begins no earlier than its band (Goyal, Vin,
Cheng 1996). The gates of a lane take turns, one job each.
"""

import math
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

#: What one job costs a lane of weight 1.
UNIT = 1_000_000
#: Of so many starts at least one goes to a lower band or priority, or to a queue of a lower class.
ONE_START_IN = 20


class LineKey(NamedTuple):
    queue: str
    band: int
    lane: str
    gate: str

    @property
    def whole_lane(self) -> "LineKey":
        """The line of what goes through no gate, under whose name the lane is counted."""
        return self._replace(gate="")

    @property
    def text(self) -> str:
        gate = f"\x1e{self.gate}" if self.gate else ""
        return f"{self.queue}\x1f{self.band:02}\x1f{self.lane}{gate}"


class Line:
    """`jobs` by priority, place and id. `rests` is of the gate, or of the whole lane, whose `passing` jobs
    have no gate at rest before them."""

    __slots__ = ("jobs", "key", "passing", "rests", "starts", "turn", "turns", "vt")

    def __init__(self, key: LineKey) -> None:
        self.key = key
        self.jobs: list[tuple[int, int, str]] = []
        self.rests = False
        self.starts = Starts()  # of its priorities
        self.turn = 0  # of a gate that is awake
        # Of a whole lane:
        self.vt = 0
        self.passing = 0
        self.turns: list[tuple[int, str]] = []  # of its awake gates, among them "": what goes through none

    @property
    def awake(self) -> bool:
        """Of a whole lane."""
        return self.passing > 0 and not self.rests


class Lines:
    def __init__(self) -> None:
        self._lines: dict[LineKey, Line] = {}
        self._order: dict[tuple[str, int], list[tuple[int, str]]] = defaultdict(list)
        self._band_vt: dict[tuple[str, int], int] = defaultdict(int)
        self._timed: dict[LineKey, int] = {}
        self._starts: dict[str, Starts] = defaultdict(Starts)

    # Jobs come and go

    def add(self, key: LineKey, entry: tuple[int, int, str]) -> bool:
        """Put a job into its line; True when its lane woke by it."""
        line = self._line(key)
        insort(line.jobs, entry)
        if key.gate:
            if line.rests:
                return False
            if len(line.jobs) == 1:
                self._open_gate(line)
        return self._join(self._line(key.whole_lane), 1)

    def discard(self, key: LineKey, entry: tuple[int, int, str]) -> None:
        line = self._lines[key]
        del line.jobs[bisect_left(line.jobs, entry)]
        if key.gate and line.rests:
            if not line.jobs:
                line.rests = False
                self._timed.pop(key, None)
            return
        if key.gate and not line.jobs:
            self._close_gate(line)
        self._leave(self._lines[key.whole_lane], 1)

    def _join(self, lane: Line, jobs: int) -> bool:
        lane.passing += jobs
        if lane.passing > jobs or lane.rests:
            return False
        self._awaken(lane)
        return True

    def _leave(self, lane: Line, jobs: int) -> None:
        if lane.passing == jobs:
            self._put_out(lane)
            lane.rests = False
            self._timed.pop(lane.key, None)
        lane.passing -= jobs

    # Rest

    def rest(self, line: Line, until: int | None) -> None:
        """An awake lane or gate rests; `until` None: until somebody wakes it."""
        if line.key.gate:
            self._close_gate(line)
            self._leave(self._lines[line.key.whole_lane], len(line.jobs))
        else:
            self._put_out(line)
        line.rests = True
        if until is not None:
            self._timed[line.key] = until

    def wake(self, key: LineKey) -> bool:
        """End the rest of a lane or gate, whatever it was for; True when it rested."""
        line = self._lines.get(key)
        if line is None or not line.rests:
            return False
        line.rests = False
        self._timed.pop(key, None)
        if key.gate:
            self._open_gate(line)
            self._join(self._line(key.whole_lane), len(line.jobs))
        else:
            self._awaken(line)
        return True

    def awake(self, lane: LineKey) -> bool:
        return (line := self._lines.get(lane)) is not None and line.awake

    def may_rest(self, line: Line) -> bool:
        """Whether the lane or gate is awake."""
        return bool(line.jobs) and not line.rests if line.key.gate else line.awake

    def rests(self, key: LineKey) -> bool:
        """Whether a job of this line cannot start because its gate or its lane rests."""
        return self._lines[key].rests or self._lines[key.whole_lane].rests

    # Turns

    def first(self, queue: str, band: int) -> Line | None:
        """The lane whose turn it is."""
        order = self._order[queue, band]
        return self._lines[LineKey(queue, band, order[0][1], "")] if order else None

    def first_of(self, lane: Line) -> Line:
        """The line of an awake lane whose turn it is."""
        for _, gate in lane.turns:
            line = self._lines[lane.key._replace(gate=gate)]
            if line.jobs:
                return line
        return lane

    def passing(self, lane: Line) -> list[Line]:
        """The lines with jobs of an awake lane whose gates are awake."""
        gates = [gate for _, gate in lane.turns] or [""]
        lines = [self._lines[lane.key._replace(gate=gate)] for gate in gates]
        return [line for line in lines if line.jobs]

    def bands(self, queue: str) -> list[int]:
        """The bands with awake lanes, the first to be served first."""
        return sorted(band for (name, band), order in self._order.items() if name == queue and order)

    def charge(self, line: Line, cost: float, weight: float) -> int:
        """A job of the line starts: its lane moves back in the order, its gate behind the others. Returns
        what the lane paid."""
        lane = self._lines[line.key.whole_lane]
        key = lane.key
        paid = max(1, math.floor(UNIT * cost / weight + 0.5))
        self._band_vt[key.queue, key.band] = max(self._band_vt[key.queue, key.band], lane.vt)
        self._set_vt(lane, lane.vt + paid)
        if lane.turns:
            turn = (lane.turns[-1][0] + 1, line.key.gate)
            lane.turns.remove(next(other for other in lane.turns if other[1] == line.key.gate))
            lane.turns.append(turn)
            line.turn = turn[0]
        return paid

    def refund(self, key: LineKey, paid: int) -> None:
        lane = self._line(key.whole_lane)
        self._set_vt(lane, max(0, lane.vt - paid))

    def starts_of(self, queue: str) -> "Starts":
        return self._starts[queue]

    # What there is

    def of(self, queue: str, lane: str | None = None, gate: str | None = None) -> list[Line]:
        """The lanes and gates of a queue, or of one lane, or one gate of it, in the order of their names."""
        found = [
            line
            for key, line in self._lines.items()
            if key.queue == queue and lane in (None, key.lane) and gate in (None, key.gate)
            if line.jobs or line.passing
        ]
        return sorted(found, key=lambda line: (*line.key[:3], line.key.gate == "", line.key.gate))

    def get(self, key: LineKey) -> Line:
        return self._lines[key]

    def rest_over(self, now: int) -> list[tuple[LineKey, int]]:
        return [(key, until) for key, until in self._timed.items() if until <= now]

    def rests_until(self, key: LineKey) -> int | None:
        """When the rest of a line's gate, or of its lane, ends, if it has an end of its own."""
        return self._timed.get(key) or self._timed.get(key.whole_lane)

    def timers(self) -> Iterator[tuple[int, str]]:
        """When lanes and gates wake by themselves, with their queue."""
        return ((until, key.queue) for key, until in self._timed.items())

    def forget_starts(self, queue: str) -> None:
        """Virtual times stay: what still runs may come back to its line."""
        self._starts.pop(queue, None)

    def tidy(self) -> None:
        """Forget what empty lanes owe, once their band has come past it or where nobody waits in the band."""
        for key, line in self._lines.items():
            band = (key.queue, key.band)
            if not key.gate and not line.passing and (not self._order[band] or line.vt < self._band_vt[band]):
                line.vt = 0
            if not line.jobs:
                line.starts = Starts()
        empty = [key for key, line in self._lines.items() if not (line.jobs or line.passing or line.vt)]
        for key in empty:
            del self._lines[key]

    # Inside

    def _line(self, key: LineKey) -> Line:
        if key not in self._lines:
            self._lines[key] = Line(key)
        return self._lines[key]

    def _open_gate(self, line: Line) -> None:
        """Its turn is after all others."""
        lane = self._line(line.key.whole_lane)
        if not lane.turns:
            lane.turns.append((0, ""))
        line.turn = lane.turns[-1][0] + 1
        lane.turns.append((line.turn, line.key.gate))

    def _close_gate(self, line: Line) -> None:
        lane = self._lines[line.key.whole_lane]
        lane.turns.remove((line.turn, line.key.gate))
        if len(lane.turns) == 1:
            lane.turns.clear()

    def _awaken(self, lane: Line) -> None:
        key = lane.key
        # A moment before its band, so that a job that comes alone need not wait for all equal lanes.
        lane.vt = max(lane.vt, self._band_vt[key.queue, key.band] - 1)
        insort(self._order[key.queue, key.band], (lane.vt, key.lane))

    def _put_out(self, lane: Line) -> None:
        if lane.awake:
            order = self._order[lane.key.queue, lane.key.band]
            del order[bisect_left(order, (lane.vt, lane.key.lane))]

    def _set_vt(self, lane: Line, vt: int) -> None:
        self._put_out(lane)
        lane.vt = vt
        if lane.awake:
            insort(self._order[lane.key.queue, lane.key.band], (vt, lane.key.lane))


class Starts:
    """Keeps the bands of a queue, or the priorities in a line, from starving: `choose` says which goes on,
    and for how many jobs."""

    def __init__(self) -> None:
        self._count = 0
        self._last: dict[int, int] = {}
        self._seen: dict[int, int] | None = None

    def choose(self, bands: Collection[int], share: int) -> tuple[int, int]:
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
