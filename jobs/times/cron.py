"""When a cron spec fires, in a time zone, with what becomes of it when the clocks are changed.

The rules are those of Debian's cron. A spec whose minute and hour both begin with something else than a star
is about times of the day: what a gap swallows fires once, at the first moment after it (several swallowed
times are one tick); what comes twice fires the first time. A spec with a star there follows real time: it
fires in both passes of a fold, and nothing stands for what a gap leaves out.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from jobs.errors import InvalidSchedule
from jobs.times.fields import Fields, parse_fields
from jobs.times.wall import Walls
from jobs.times.zones import as_utc, change_within, reading, wall_of, zone_of

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron spec in a zone; made by `Cron.parse`. Two of the same text and zone are equal."""

    text: str
    zone: str
    fields: Fields = field(compare=False, repr=False)
    walls: Walls = field(compare=False, repr=False)
    tz: tzinfo = field(compare=False, repr=False)

    @classmethod
    def parse(cls, spec: str, zone: str = "UTC") -> "Cron":
        """Read five fields or a nickname such as `@daily`; `zone` is an IANA name.

        Fields take numbers, names (mon, jan), lists, ranges and steps; L is the last day of the month, 5L
        its last Friday, mon#1 its first Monday; 0 and 7 are Sunday. When day of month and day of week are
        both given, either is enough. Raises InvalidSchedule, which names the field, also for a spec that
        never fires.
        """
        if not isinstance(spec, str) or not isinstance(zone, str):
            raise InvalidSchedule(f"cron {str(spec)[:50]!r} and its timezone must be texts.")
        return _parsed(" ".join(spec.split()), zone)

    def next_after(self, instant: datetime) -> datetime | None:
        """The first tick after the instant; None when the calendar ends before."""
        instant = as_utc(instant)
        try:
            if self.tz is UTC:
                wall = self.walls.after(instant.replace(tzinfo=None))
                return None if wall is None else wall.replace(tzinfo=UTC)
            return self._next_of_day(instant) if self.fields.wall_clock else self._next_in_real_time(instant)
        except OverflowError:
            return None

    def previous_before(self, instant: datetime) -> datetime | None:
        """The last tick before the instant; None when the calendar begins after it."""
        instant = as_utc(instant)
        try:
            if self.tz is UTC:
                wall = self.walls.before(instant.replace(tzinfo=None))
                return None if wall is None else wall.replace(tzinfo=UTC)
            if self.fields.wall_clock:
                return self._previous_of_day(instant)
            return self._previous_in_real_time(instant)
        except OverflowError:
            return None

    def _next_of_day(self, instant: datetime) -> datetime | None:
        wall = self.walls.after(wall_of(instant, self.tz))
        while wall is not None:
            tick = self._of_day(wall)
            if tick > instant:  # else it is the first pass of an hour that comes again now
                return tick
            wall = self.walls.after(wall)
        return None

    def _previous_of_day(self, instant: datetime) -> datetime | None:
        wall = wall_of(instant, self.tz)
        now = reading(wall, self.tz)
        if wall.fold:
            wall += now.second - now.first  # what is later on the clock was there before, in the first pass
        found = self.walls.before(wall)
        while found is not None:
            tick = self._of_day(found)
            if tick < instant:
                return tick
            found = self.walls.before(found)
        return None

    def _of_day(self, wall: datetime) -> datetime:
        when = reading(wall, self.tz)
        return change_within(when.second, when.first, self.tz) if when.in_gap else when.first

    def _next_in_real_time(self, instant: datetime) -> datetime | None:
        here = wall_of(instant, self.tz)
        wall = self.walls.after(here)
        now = reading(here, self.tz)
        if now.in_fold and not here.fold:
            change = change_within(instant, instant + (now.second - now.first), self.tz)
            if wall is None or wall >= here + (change - instant):
                wall = self.walls.after(wall_of(change, self.tz) - _MINUTE)
        while wall is not None:
            when = reading(wall, self.tz)
            if not when.in_gap:
                return when.first if when.first > instant else when.second
            change = change_within(when.second, when.first, self.tz)
            wall = self.walls.after(wall_of(change, self.tz) - _MINUTE)
        return None

    def _previous_in_real_time(self, instant: datetime) -> datetime | None:
        here = wall_of(instant, self.tz)
        wall = self.walls.before(here)
        if here.fold:
            now = reading(here, self.tz)
            shift = now.second - now.first
            change = change_within(instant - shift, instant, self.tz)
            start = wall_of(change, self.tz).replace(fold=0)
            if wall is None or wall < start:
                wall = self.walls.before(start + shift)
        while wall is not None:
            when = reading(wall, self.tz)
            if not when.in_gap:
                return when.second if when.second < instant else when.first
            change = change_within(when.second, when.first, self.tz)
            wall = self.walls.before(wall_of(change, self.tz) - (when.first - when.second))
        return None


@lru_cache(maxsize=4_096)
def _parsed(text: str, zone: str) -> Cron:
    fields = parse_fields(text)
    return Cron(text, zone, fields, Walls(fields, text), zone_of(zone))
