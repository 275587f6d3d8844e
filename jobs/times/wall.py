"""Which times of a wall clock a cron spec means, with nothing known of zones.

Each step is a look into a table or at the bits of a month, so that a spec that fires once in forty years is
found in as many looks, and no minute is walked."""

import calendar
from datetime import datetime
from functools import lru_cache

from jobs.errors import InvalidSchedule
from jobs.times.fields import LAST, Fields

#: 29 February on one day of the week comes after at most 40 years (over a year like 2100).
_MOST_YEARS = 41
_LENGTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Walls:
    """The wall times of a spec. Raises InvalidSchedule when there is none in any year."""

    __slots__ = ("_bits", "_fields", "_first", "_last", "_months", "_next", "_previous")

    def __init__(self, fields: Fields, spec: str) -> None:
        self._fields = fields
        self._bits = _days_seen(fields.days, fields.last_day, fields.weekdays, fields.nth, fields.either)
        self._months = fields.months
        self._next = (_following(fields.hours, 24), _following(fields.minutes, 60))
        self._previous = (_preceding(fields.hours, 24), _preceding(fields.minutes, 60))
        self._first = (min(fields.hours), min(fields.minutes))
        self._last = (max(fields.hours), max(fields.minutes))
        if not self._ever():
            raise InvalidSchedule(
                f"cron {spec!r} never fires: no month that it names has a day that it asks for."
            )

    def after(self, wall: datetime) -> datetime | None:
        """The first time after this one, in whole minutes. None when the calendar ends before."""
        year, month, day, hour = wall.year, wall.month, wall.day, wall.hour
        first = (wall.weekday() - day + 1) % 7
        bits = self._days_of(first, _length(year, month)) >> day if month in self._months else 0
        if bits & 1:
            minute = self._next[1][wall.minute + 1]
            if minute >= 0 and self._next[0][hour] == hour:
                return datetime(year, month, day, hour, minute)
            hour = self._next[0][hour + 1]
            if hour >= 0:
                return datetime(year, month, day, hour, self._first[1])
        bits >>= 1
        if bits:
            return datetime(year, month, day + _lowest(bits) + 1, *self._first)
        last_year = min(year + _MOST_YEARS, 9999)
        while True:
            first = (first + _length(year, month)) % 7
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
            if year > last_year:
                return None
            if month in self._months and (bits := self._days_of(first, _length(year, month))):
                return datetime(year, month, _lowest(bits), *self._first)

    def before(self, wall: datetime) -> datetime | None:
        """The last time before this one, in whole minutes. None when the calendar begins after it."""
        year, month, day, hour = wall.year, wall.month, wall.day, wall.hour
        first = (wall.weekday() - day + 1) % 7
        bits = self._days_of(first, _length(year, month)) if month in self._months else 0
        if bits >> day & 1:
            # A time within a minute is after the minute's beginning.
            minute = self._previous[1][wall.minute + (1 if wall.second or wall.microsecond else 0)]
            if minute >= 0 and self._next[0][hour] == hour:
                return datetime(year, month, day, hour, minute)
            hour = self._previous[0][hour]
            if hour >= 0:
                return datetime(year, month, day, hour, self._last[1])
        bits &= (1 << day) - 1
        if bits:
            return datetime(year, month, bits.bit_length() - 1, *self._last)
        first_year = max(year - _MOST_YEARS, 1)
        while True:
            year, month = (year, month - 1) if month > 1 else (year - 1, 12)
            if year < first_year:
                return None
            first = (first - _length(year, month)) % 7
            if month in self._months and (bits := self._days_of(first, _length(year, month))):
                return datetime(year, month, bits.bit_length() - 1, *self._last)

    def holds(self, wall: datetime) -> bool:
        """Whether the minute of this time is one of the spec's."""
        first = (wall.weekday() - wall.day + 1) % 7
        fields = self._fields
        return (
            wall.month in fields.months
            and wall.hour in fields.hours
            and wall.minute in fields.minutes
            and bool(self._days_of(first, _length(wall.year, wall.month)) >> wall.day & 1)
        )

    def _ever(self) -> bool:
        # The same for all specs with the same days and months, of which there are few.
        known = (-1, sum(1 << month for month in self._months))
        if known not in self._bits:
            self._bits[known] = any(
                self._days_of(first, length) for first in range(7) for length in self._lengths()
            )
        return bool(self._bits[known])

    def _days_of(self, first: int, length: int) -> int:
        """The days of a month that begins on weekday `first` (0 is Monday) as bits, day 1 being bit 1."""
        bits = self._bits.get((first, length))
        if bits is None:
            bits = sum(1 << day for day in range(1, length + 1) if self._fits(day, first, length))
            self._bits[first, length] = bits
        return bits

    def _fits(self, day: int, first: int, length: int) -> bool:
        fields = self._fields
        weekday = (first + day) % 7  # 0 is Sunday
        by_month = day in fields.days or (fields.last_day and day == length)
        by_week = (
            weekday in fields.weekdays
            or (weekday, (day + 6) // 7) in fields.nth
            or ((weekday, LAST) in fields.nth and day + 7 > length)
        )
        return by_month or by_week if fields.either else by_month and by_week

    def _lengths(self) -> set[int]:
        return {_LENGTHS[month] for month in self._months} | ({29} if 2 in self._months else set())


def _length(year: int, month: int) -> int:
    return 29 if month == 2 and calendar.isleap(year) else _LENGTHS[month]


def _lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


# Ten thousand schedules have some hundred different fields: each is worked out once.


@lru_cache(maxsize=4_096)
def _days_seen(*_fields: object) -> dict[tuple[int, int], int]:
    """The days of months that were worked out, one table for all specs with the same days."""
    return {}


@lru_cache(maxsize=4_096)
def _following(values: frozenset[int], size: int) -> tuple[int, ...]:
    """For each number, the least of the values that is not below it, or -1."""
    return tuple(min((value for value in values if value >= at), default=-1) for at in range(size + 1))


@lru_cache(maxsize=4_096)
def _preceding(values: frozenset[int], size: int) -> tuple[int, ...]:
    """For each number, the greatest of the values below it, or -1."""
    return tuple(max((value for value in values if value < at), default=-1) for at in range(size + 1))
