"""A timing with what bounds it: exclusions, start, end and jitter."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo

from jobs.errors import InvalidSchedule
from jobs.times.calendar import Exclusions
from jobs.times.cron import Cron
from jobs.times.intervals import Every, Once
from jobs.times.zones import as_utc, change_within, instant_text, moment, reading, wall_of, zone_of

#: Excluded stretches that are passed over on the way to one tick. A daily tick that is always excluded is
#: given up after five years and a half, a monthly one long after anybody looks.
MOST_SKIPS = 2_000
LONGEST_JITTER_S = 86_400
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Plan:
    """When a schedule fires. Its ticks are those of `timing` from `start` to `end`, both included, but for
    the excluded ones.

    `zone` is that of the exclusions, of what people read, and of a cron, which must have been parsed with it.
    When 2,000 excluded stretches follow one another, no tick is looked for behind them: the plan has none.
    `jitter_s` moves when a tick is due, never the tick. Raises InvalidSchedule.
    """

    timing: Cron | Every | Once
    zone: str = "UTC"
    exclusions: Exclusions = field(default_factory=Exclusions)
    start: datetime | None = None
    end: datetime | None = None
    jitter_s: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.timing, Cron) and self.timing.zone != self.zone:
            if self.zone != "UTC":
                raise InvalidSchedule(
                    f"timezone {self.zone!r} must be that of the cron, {self.timing.zone!r}."
                )
            object.__setattr__(self, "zone", self.timing.zone)
        zone_of(self.zone)
        for name in ("start", "end"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, moment(name, getattr(self, name)))
        if self.start is not None and self.end is not None and self.end < self.start:
            raise InvalidSchedule(
                f"end {instant_text(self.end)} must not be before start {instant_text(self.start)}."
            )
        if isinstance(self.jitter_s, bool) or not isinstance(self.jitter_s, int):
            raise InvalidSchedule(f"jitter {str(self.jitter_s)[:50]!r} must be whole seconds.")
        if not 0 <= self.jitter_s <= LONGEST_JITTER_S:
            raise InvalidSchedule(f"jitter {self.jitter_s} must be from 0 to {LONGEST_JITTER_S} seconds.")

    def next_after(self, instant: datetime) -> datetime | None:
        """The first tick after the instant; None when there is none."""
        if self.start is not None and instant < self.start:
            instant = self.start - _SECOND
        tick = self.timing.next_after(instant)
        if tick is not None and self.exclusions:
            tick = self._next_included(tick)
        return None if tick is None or (self.end is not None and tick > self.end) else tick

    def previous_before(self, instant: datetime) -> datetime | None:
        """The last tick before the instant; None when there is none."""
        if self.end is not None and instant > self.end:
            instant = self.end + _SECOND
        tick = self.timing.previous_before(instant)
        if tick is not None and self.exclusions:
            tick = self._previous_included(tick)
        return None if tick is None or (self.start is not None and tick < self.start) else tick

    def is_tick(self, instant: datetime) -> bool:
        """Whether there is a tick at exactly this instant."""
        return self.next_after(as_utc(instant) - _SECOND) == instant

    def between(self, after: datetime, until: datetime, limit: int) -> list[datetime]:
        """The ticks with after < tick <= until, oldest first; of more than `limit` the oldest."""
        found: list[datetime] = []
        tick = self.next_after(after)
        while tick is not None and tick <= until and len(found) < limit:
            found.append(tick)
            tick = self.next_after(tick)
        return found

    def newest_between(self, after: datetime, until: datetime, limit: int) -> list[datetime]:
        """The ticks with after < tick <= until, oldest first; of more than `limit` the newest."""
        found: list[datetime] = []
        tick = self.previous_before(as_utc(until).replace(microsecond=0) + _SECOND)
        while tick is not None and tick > after and len(found) < limit:
            found.append(tick)
            tick = self.previous_before(tick)
        return found[::-1]

    def due(self, name: str, tick: datetime) -> datetime:
        """When a tick is to run: up to `jitter_s` seconds later, by whole milliseconds, and the same on every
        host, because it comes of the schedule's name and the tick."""
        if not self.jitter_s:
            return tick
        digest = hashlib.sha256(f"{name} {instant_text(tick)}".encode()).digest()
        return tick + timedelta(milliseconds=int.from_bytes(digest[:8]) % (self.jitter_s * 1_000 + 1))

    def _next_included(self, tick: datetime) -> datetime | None:
        zone = zone_of(self.zone)
        found: datetime | None = tick
        for _ in range(MOST_SKIPS):
            if found is None or (self.end is not None and found > self.end):
                return None
            stretch = self.exclusions.stretch(wall_of(found, zone))
            if stretch is None:
                return found
            end = _first_after(stretch[1], found, zone)
            found = self.timing.next_after(end - _SECOND)
        return None

    def _previous_included(self, tick: datetime) -> datetime | None:
        zone = zone_of(self.zone)
        found: datetime | None = tick
        for _ in range(MOST_SKIPS):
            if found is None or (self.start is not None and found < self.start):
                return None
            stretch = self.exclusions.stretch(wall_of(found, zone))
            if stretch is None:
                return found
            found = self.timing.previous_before(_last_until(stretch[0], found, zone))
        return None


def _first_after(wall: datetime, instant: datetime, zone: tzinfo) -> datetime:
    """When the clock shows this, or has jumped over it, for the first time after the instant; or when it is
    put back before that, since what it shows then need not be excluded."""
    when = reading(wall, zone)
    if when.in_gap:
        return change_within(when.second, when.first, zone)
    here = wall_of(instant, zone)
    now = reading(here, zone)
    end = when.first if when.first > instant else when.second
    if now.in_fold and not here.fold:
        return min(end, change_within(instant, instant + (now.second - now.first), zone))
    return end


def _last_until(wall: datetime, instant: datetime, zone: tzinfo) -> datetime:
    """When the clock showed this, or jumped over it, for the last time until the instant; or when it was
    put back after that."""
    when = reading(wall, zone)
    if when.in_gap:
        return change_within(when.second, when.first, zone)
    here = wall_of(instant, zone)
    now = reading(here, zone)
    begin = when.second if when.second <= instant else when.first
    if here.fold:
        return max(begin, change_within(instant - (now.second - now.first), instant, zone))
    return begin
