"""What the five fields of a cron spec say: which minutes, hours, days and months."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from jobs.errors import InvalidSchedule

#: With each value of each field written out a spec has 355 characters.
LONGEST_SPEC = 400
NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
#: Instead of a number in the place of a week: the last of its kind in the month.
LAST = -1
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NUMBER = re.compile(r"[0-9]{1,3}")


class Field(NamedTuple):
    """One place of a spec. `size` is how many different values there are; `names` are those from `low` on."""

    name: str
    low: int
    high: int
    size: int
    names: tuple[str, ...]
    example: str

    def error(self, value: str, what: str) -> InvalidSchedule:
        return InvalidSchedule(f"{self.name} {value!r} {what}.")


MINUTE = Field("minute", 0, 59, 60, (), "0, 0-29, */15 or 0,30")
HOUR = Field("hour", 0, 23, 24, (), "9, 9-17, */6 or 9,17")
DAY = Field("day of month", 1, 31, 31, (), "1, 1-7, 1,15 or L")
MONTH = Field("month", 1, 12, 12, _MONTHS, "1, jan, 1-6 or jan,jul")
WEEKDAY = Field("day of week", 0, 7, 7, _DAYS, "1, mon, mon-fri, 5L or mon#1")
FIELDS = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)


@dataclass(frozen=True, slots=True)
class Fields:
    """A spec, read. Days of the week are 0 (Sunday) to 6.

    `nth` has pairs of a day of the week and its place in the month, 1 to 5 or LAST. `either`: a day must fit
    the day of month or the day of week; else both (as soon as one of the two fields begins with a star).
    `wall_clock`: neither minute nor hour begins with a star, so that it is about times of the day.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    last_day: bool
    months: frozenset[int]
    weekdays: frozenset[int]
    nth: frozenset[tuple[int, int]]
    either: bool
    wall_clock: bool


@lru_cache(maxsize=4_096)
def parse_fields(spec: str) -> Fields:
    """Read five fields or a nickname such as @daily. Raises InvalidSchedule, which names the field."""
    parts = _parts(spec)
    days = _items(DAY, parts[2])
    weekdays, nth = _of_week(parts[4])
    return Fields(
        minutes=_numbers(_items(MINUTE, parts[0])),
        hours=_numbers(_items(HOUR, parts[1])),
        days=_numbers(days),
        last_day=(0, LAST) in days,
        months=_numbers(_items(MONTH, parts[3])),
        weekdays=weekdays,
        nth=nth,
        either=not (parts[2].startswith("*") or parts[4].startswith("*")),
        wall_clock=not (parts[0].startswith("*") or parts[1].startswith("*")),
    )


def parse_weekdays(text: str) -> frozenset[int]:
    """Days of the week (0 is Sunday) as in the last field of a cron spec. Raises InvalidSchedule."""
    items = _items(WEEKDAY, text.strip().lower())
    if any(isinstance(item, tuple) for item in items):
        raise WEEKDAY.error(text, "must be days of each week here, such as mon-fri or sat,sun")
    return frozenset(day % 7 for day in _numbers(items))


def _parts(spec: str) -> list[str]:
    text = spec.strip().lower()
    if len(text) > LONGEST_SPEC:
        raise InvalidSchedule(f"cron must be at most {LONGEST_SPEC} characters, and this has {len(text)}.")
    if text.startswith("@"):
        if text not in NICKNAMES:
            raise InvalidSchedule(f"cron {spec!r} must be five fields or one of {', '.join(NICKNAMES)}.")
        text = NICKNAMES[text]
    parts = text.split()
    if len(parts) != len(FIELDS):
        raise InvalidSchedule(
            f"cron {spec!r} has {len(parts)} fields and must have five: minute, hour, day of month, month, "
            "day of week (seconds have `every`)."
        )
    return parts


@lru_cache(maxsize=4_096)
def _of_week(text: str) -> tuple[frozenset[int], frozenset[tuple[int, int]]]:
    items = _items(WEEKDAY, text)
    nth = frozenset((item[0] % 7, item[1]) for item in items if isinstance(item, tuple))
    return frozenset(day % 7 for day in _numbers(items)), nth


@lru_cache(maxsize=4_096)
def _numbers(items: frozenset[int | tuple[int, int]]) -> frozenset[int]:
    return frozenset(item for item in items if isinstance(item, int))


@lru_cache(maxsize=4_096)
def _items(field: Field, text: str) -> frozenset[int | tuple[int, int]]:
    found: set[int | tuple[int, int]] = set()
    for item in text.split(","):
        found |= _item(field, item)
    return frozenset(found)


def _item(field: Field, item: str) -> set[int | tuple[int, int]]:
    if field is DAY and item == "l":
        return {(0, LAST)}
    if field is WEEKDAY and "#" in item:
        return {_nth(field, item)}
    if field is WEEKDAY and item.endswith("l"):
        return {(_number(field, item, item[:-1]), LAST)}
    span, slash, step_text = item.partition("/")
    low, high = _span(field, item, span, stepped=bool(slash))
    return set(range(low, high + 1, _step(field, item, step_text) if slash else 1))


def _span(field: Field, item: str, span: str, stepped: bool) -> tuple[int, int]:
    if span == "*":
        # Sunday is 0 and 7: with a step, 7 would be no step away from 0.
        return field.low, field.low + field.size - 1
    first, dash, last = span.partition("-")
    low = _number(field, item, first)
    if not dash:
        return low, field.high if stepped else low
    high = _number(field, item, last)
    if field is WEEKDAY and last == "sun" and low:
        high = 7  # fri-sun
    if high < low:
        raise field.error(item, f"runs backwards: give two ranges, {_turned(field, first, last)}")
    return low, high


def _turned(field: Field, first: str, last: str) -> str:
    names = field.names if first in field.names else ()
    low, high = (
        (names[0], names[field.high % 7 if field is WEEKDAY else -1]) if names else (field.low, field.high)
    )
    return f"{first}-{high},{low}-{last}"


def _step(field: Field, item: str, text: str) -> int:
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= field.size:
        raise field.error(item, f"must have a step of 1 to {field.size} after the slash")
    return int(text)


def _nth(field: Field, item: str) -> tuple[int, int]:
    day, _, place = item.partition("#")
    if not _NUMBER.fullmatch(place) or not 1 <= int(place) <= 5:
        raise field.error(item, "must have 1 to 5 after the #")
    return _number(field, item, day), int(place)


def _number(field: Field, item: str, text: str) -> int:
    if text in field.names:
        return field.low + field.names.index(text)
    if _NUMBER.fullmatch(text) and field.low <= int(text) <= field.high:
        return int(text)
    names = f" or names ({', '.join(field.names)})" if field.names else ""
    numbers = f"numbers from {field.low} to {field.high}{names}"
    raise field.error(item, f"must be of {numbers}, such as {field.example}")
