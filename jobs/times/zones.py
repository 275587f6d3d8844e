"""Time zones by name, and how a time on a wall clock reads in one.

A clock that is put forward leaves a gap of times that are on no clock; one that is put back shows an hour
twice (the fold). Of both kinds is here what the zone itself knows; what a schedule makes of it is in
`jobs.times.cron`.
"""

import difflib
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from jobs.errors import InvalidSchedule

_SECOND = timedelta(seconds=1)
#: Copies of the zones, the first of which count leap seconds, and files that are no zone.
_NO_ZONES = ("right/", "posix/", "Factory", "localtime", "posixrules")


class Reading(NamedTuple):
    """Which instants a wall time means. They are the same but in a gap or a fold.

    In a fold they are the first and the second pass. In a gap both lie outside of it: `first` is the time
    by the clock of before, thus after the change; `second` by the clock of afterwards, thus before it.
    """

    first: datetime
    second: datetime

    @property
    def in_gap(self) -> bool:
        return self.second < self.first

    @property
    def in_fold(self) -> bool:
        return self.first < self.second


@lru_cache(maxsize=1_024)
def zone_of(name: str) -> tzinfo:
    """The zone with this IANA name. Raises InvalidSchedule with the nearest name."""
    if name == "UTC":
        return UTC
    if isinstance(name, str) and not name.startswith(_NO_ZONES):
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):  # not there, no name of a file, a folder of zones
            pass
    raise InvalidSchedule(f"timezone {str(name)[:100]!r} is unknown: {_hint(str(name))}")


def moment(name: str, given: object) -> datetime:
    """A bound of a schedule in UTC; a fraction of a second is cut off. `name` is the field in the message of
    InvalidSchedule, for what is no time, has no zone, or is at an end of the calendar."""
    if not isinstance(given, datetime) or given.tzinfo is None:
        raise InvalidSchedule(
            f"{name} {str(given)[:50]!r} must be a time with its zone, such as '2026-12-24T18:00:00+01:00'."
        )
    try:
        return given.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        raise InvalidSchedule(f"{name} {str(given)[:50]!r} is at an end of the calendar.") from None


def as_utc(instant: datetime) -> datetime:
    """The same instant in UTC. Raises ValueError for a time without a zone."""
    if instant.tzinfo is UTC:
        return instant
    if instant.tzinfo is None:
        raise ValueError("an instant must have a time zone")
    return instant.astimezone(UTC)


def instant_text(instant: datetime) -> str:
    """`2026-03-29T01:00:00Z`, as instants are in documents, ids and arguments."""
    # strftime would write the year 999 with three digits.
    return as_utc(instant).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def reading(wall: datetime, zone: tzinfo) -> Reading:
    """The instants that a wall time (no zone, any fold) has in a zone."""
    first = wall.replace(tzinfo=zone, fold=0).utcoffset()
    second = wall.replace(tzinfo=zone, fold=1).utcoffset()
    assert first is not None
    assert second is not None
    wall = wall.replace(tzinfo=UTC, fold=0)
    if first == second:
        instant = wall - first
        return Reading(instant, instant)
    return Reading(wall - first, wall - second)


def change_within(after: datetime, until: datetime, zone: tzinfo) -> datetime:
    """The instant at which the clock is changed, given that it is, once, in after < change <= until."""
    before = after.astimezone(zone).utcoffset()
    low, high = 0, int((until - after).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if (after + middle * _SECOND).astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return after + high * _SECOND


def wall_of(instant: datetime, zone: tzinfo) -> datetime:
    """What the clocks of the zone show, without the zone; `fold` is 1 in a second pass."""
    return instant.astimezone(zone).replace(tzinfo=None)


def _hint(name: str) -> str:
    names = {zone.lower(): zone for zone in available_timezones()}
    wanted = name.strip().lower().replace(" ", "_")
    cities = {zone.rsplit("/", 1)[-1]: zone for zone in sorted(names, reverse=True)}
    near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.75)
    if not near:
        near = [
            cities[city]
            for city in difflib.get_close_matches(wanted.rsplit("/", 1)[-1], cities, n=1, cutoff=0.75)
        ]
    if near:
        return f"did you mean {names[near[0]]!r}?"
    return "give an IANA name such as 'UTC' or 'Europe/Berlin'."
