"""The line of schedules, by when the job of the next tick is handed over."""

import heapq
import itertools
from datetime import datetime, timedelta
from math import floor

from jobs.schedules import Overlap, Schedule
from scheduling.catch_up import ON_TIME_S
from scheduling.entries import Entry
from scheduling.outage import Outage

#: A job is handed over so long before it is due, in seconds, where nothing has to be known of the last one:
#: the store starts it in time. Where a crowd is due in one second, so many a second begin earlier still.
AHEAD_S, MOST_AHEAD_S, CROWD_A_S = 1.0, 10.0, 2_000
#: Hand-overs are brought together on a grid of so many a second, so that they share a transaction.
GRID = 4
#: Schedules, and jobs, of one round.
BATCH = 500
_INSTANT = timedelta(microseconds=1)


class Track:
    """One schedule on its way: the tick that comes next.

    `since` is the moment behind which ticks are fired when they are due. `cursor` is what is stored; it lies
    before that while ticks of a downtime have not been looked at (`behind` since `split`).
    """

    __slots__ = (
        *("ahead", "cursor", "dead", "entry", "held", "memory_s", "_outage", "schedule", "shard", "since"),
        *("split", "split_at", "tried"),
    )

    def __init__(self, entry: Entry, schedule: Schedule, shard: str, memory_s: float) -> None:
        self.entry = entry
        self.schedule = schedule
        self.cursor = self.since = entry.row.cursor
        self.shard = shard
        self.memory_s = memory_s
        self.ahead = 0.0  # seconds before it is due that it is handed over
        self.dead = False
        self.tried: datetime | None = None  # when it could not be fired for the first time
        self.held: datetime | None = None  # the last tick of which it was said that it waits
        self._outage: Outage | None = None
        self.split: datetime | None = None
        self.split_at: datetime | None = None

    @property
    def outage(self) -> Outage:
        """Of what this one needs alone."""
        if self._outage is None:  # most never need it
            self._outage = Outage(f"Schedule {self.schedule.name} waits")
        return self._outage

    @property
    def behind(self) -> bool:
        """Whether it has to be seen which ticks of a downtime are fired."""
        return self.split is not None

    def served(self) -> None:
        """What it needs was there."""
        if self._outage is not None:
            self._outage.over()

    def old(self, now: datetime) -> bool:
        """Whether it may have ticks that were missed."""
        return self.cursor < now - timedelta(seconds=ON_TIME_S)

    def leave_behind(self, now: datetime) -> None:
        """Go on with what is on time; what is older waits until there is time for it. Not where jobs keep
        others out: there the order counts."""
        if self.schedule.overlap is not Overlap.ALLOW:
            return
        split, plan = now - timedelta(seconds=ON_TIME_S) - _INSTANT, self.schedule.plan
        if plan.jitter_s:
            tick = plan.previous_before(split)
            while tick is not None and plan.due(self.schedule.name, tick) > split:
                tick = plan.previous_before(tick)
            split = tick or self.cursor
        if split > self.cursor:
            self.since = self.split = split
            self.split_at = self.tried = now


class Line:
    """Times are seconds since 1970."""

    def __init__(self) -> None:
        self._line: list[tuple[float, int, Track]] = []
        self._number = itertools.count()
        self._crowds: dict[int, int] = {}  # how many are due in a second

    def add(self, track: Track) -> None:
        """Put it in line for its next tick."""
        tick = track.schedule.plan.next_after(track.since)
        if tick is None:
            return
        due = at = track.schedule.plan.due(track.schedule.name, tick).timestamp()
        if track.schedule.overlap is Overlap.ALLOW:
            at = floor((due - self._ahead(int(due))) * GRID) / GRID
        track.ahead = due - at
        self.push(track, at)

    def push(self, track: Track, at: float) -> None:
        """Look at it at that time."""
        heapq.heappush(self._line, (at, next(self._number), track))

    def pop(self, until: float, most: int = BATCH) -> list[Track]:
        """The next ones whose time has come."""
        batch: list[Track] = []
        while self._line and self._line[0][0] <= until and len(batch) < most:
            track = heapq.heappop(self._line)[2]
            if not track.dead:
                batch.append(track)
        if not batch:
            self._forget_crowds(until)
        return batch

    def next(self) -> float | None:
        """When the first is handed over."""
        while self._line and self._line[0][2].dead:
            heapq.heappop(self._line)
        return self._line[0][0] if self._line else None

    def _ahead(self, second: int) -> float:
        """For one more that is due in this second."""
        before = self._crowds.get(second, 0)
        self._crowds[second] = before + 1
        return min(AHEAD_S + before // BATCH * BATCH / CROWD_A_S, MOST_AHEAD_S)

    def _forget_crowds(self, until: float) -> None:
        if len(self._crowds) > 2 * len(self._line) + BATCH:
            self._crowds = {second: count for second, count in self._crowds.items() if second > until}
