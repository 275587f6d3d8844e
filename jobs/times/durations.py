"""Durations as a schedule's document has them: `90s`, `5min`, `2h`."""

import re

from jobs.errors import InvalidSchedule

_MS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_UNITS = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("h", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("w", "week", "weeks"), "w"),
}
_TEXT = re.compile(r"\s*([0-9]{1,15})\s*([a-z]*)\s*", re.IGNORECASE | re.ASCII)


def milliseconds(field: str, value: object, least: int, most: int) -> int:
    """Whole milliseconds of `5s` or `10 min`; a bare number is milliseconds. Raises InvalidSchedule."""
    return _read(field, value, "ms", least, most)


def seconds(field: str, value: object, least: int, most: int) -> int:
    """Whole seconds of `90s` or `5min`; a bare number is seconds. Raises InvalidSchedule."""
    ms = _read(field, value, "s", least * 1_000, most * 1_000)
    if ms % 1_000:
        raise InvalidSchedule(f"{field} {str(value)[:50]!r} must be whole seconds.")
    return ms // 1_000


def text_of_ms(ms: int) -> str:
    """`90s` of 90,000: in the largest unit that needs no fraction; what the functions above read."""
    return next(
        f"{ms // size}{unit}" for unit, size in reversed(_MS.items()) if ms % size == 0 and unit != "w"
    )


def text_of_seconds(whole: int) -> str:
    """`90s` of 90."""
    return text_of_ms(whole * 1_000) if whole else "0s"


def _read(field: str, value: object, bare: str, least: int, most: int) -> int:
    found = _TEXT.fullmatch(str(value)) if isinstance(value, (int, str)) and value is not True else None
    unit = _UNITS.get(found[2].lower() or bare) if found else None
    if found is None or unit is None:
        raise InvalidSchedule(
            f'{field} {str(value)[:50]!r} must be a duration such as "90s", "5min" or "2h" '
            f"(a bare number is in {bare})."
        )
    ms = int(found[1]) * _MS[unit]
    if not least <= ms <= most:
        raise InvalidSchedule(
            f"{field} {str(value)[:50]!r} must be from {_least(least)} to {text_of_ms(most)}."
        )
    return ms


def _least(ms: int) -> str:
    return text_of_ms(ms) if ms else "0s"
