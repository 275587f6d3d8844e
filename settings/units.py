"""Durations, rates and the other small values that a person writes in a configuration."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SerializerFunctionWrapHandler, WrapSerializer

_MS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_UNIT_NAMES = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("h", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("w", "week", "weeks"), "w"),
}
_DURATION = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([a-z]*)\s*", re.IGNORECASE)
_RATE = re.compile(r"\s*([0-9]{1,12})\s*/\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)?\s*([a-z]+)\s*", re.IGNORECASE)
_NO_RATE = {"", "none", "off"}
_LONGEST_MS = 100 * 366 * 86_400_000
#: The start of each job within a rate's time is kept.
MOST_STARTS = 100_000


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` starts in any stretch of `seconds`."""

    count: int
    seconds: float

    def __post_init__(self) -> None:
        if self.count < 1 or not self.seconds >= 0.001:
            raise ValueError('must allow at least one start in at least a millisecond, such as "10/s"')
        if self.count > MOST_STARTS:
            raise ValueError(f'must allow at most {MOST_STARTS} starts; give a shorter time, such as "100/s"')

    @property
    def ms(self) -> int:
        """The time in whole milliseconds."""
        return round(self.seconds * 1_000)

    def __str__(self) -> str:
        for unit, ms in (("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)):
            if self.seconds * 1_000 == ms:
                return f"{self.count}/{unit}"
        return f"{self.count}/{self.seconds:.9f}".rstrip("0").rstrip(".") + "s"


def parse_rate(value: object) -> Rate | None:
    """Read `10/s`, `100/min` or `5/10s`; `none` and `off` mean no limit.

    Raises ValueError with what to write instead.
    """
    if value is None or isinstance(value, Rate):
        return value
    if isinstance(value, str):
        if value.strip().lower() in _NO_RATE:
            return None
        found = _RATE.fullmatch(value)
        if found and (unit := _UNIT_NAMES.get(found[3].lower())):
            return Rate(int(found[1]), float(found[2] or 1) * _MS[unit] / 1_000)
    raise ValueError('must be a rate such as "10/s", "100/min" or "none"')


def parse_ms(value: object) -> int:
    """Read a duration as whole milliseconds: a number is milliseconds, text has a unit (`5s`, `30 days`).

    Raises ValueError with what to write instead.
    """
    return round(_duration_ms(value, bare="ms"))


def parse_seconds(value: object) -> float:
    """Read a duration as seconds: a number is seconds, text has a unit (`15s`, `2min`).

    Raises ValueError with what to write instead.
    """
    return _duration_ms(value, bare="s") / 1_000


def _duration_ms(value: object, bare: str) -> float:
    if (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and 0 <= value * _MS[bare] <= _LONGEST_MS
    ):
        return value * _MS[bare]
    if isinstance(value, str) and (found := _DURATION.fullmatch(value)):
        unit = _UNIT_NAMES.get(found[2].lower()) if found[2] else bare
        if unit and float(found[1]) * _MS[unit] <= _LONGEST_MS:
            return float(found[1]) * _MS[unit]
    raise ValueError(f'must be a duration such as "5s", "2min" or "30 days" (a bare number is in {bare})')


def _no_bool(value: object) -> object:
    # Python counts True as 1, so `attempts = true` would pass as one attempt.
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def _none_word(value: object) -> object:
    return None if isinstance(value, str) and value.strip().lower() == "none" else value


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _from_json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("must be a table, or JSON text in the environment") from None


def _as_dict(value: Any, handler: SerializerFunctionWrapHandler) -> Any:
    return handler(dict(value))


V = TypeVar("V")

Milliseconds = Annotated[int, BeforeValidator(parse_ms), Field(ge=0)]
"""Whole milliseconds; accepts `"5s"` and the like."""

Seconds = Annotated[float, BeforeValidator(parse_seconds), Field(gt=0)]
"""Seconds; accepts `"2min"` and the like."""

Whole = Annotated[int, BeforeValidator(_no_bool)]
"""A whole number that `true` does not pass for."""

OptionalRate = Annotated[Rate | None, BeforeValidator(parse_rate)]
"""A rate, or None for no limit."""

OptionalCount = Annotated[
    Annotated[int, Field(ge=1)] | None, BeforeValidator(_none_word), BeforeValidator(_no_bool)
]
"""A count from 1, or None (written `none`) for no limit."""

OptionalMilliseconds = Annotated[
    Annotated[int, BeforeValidator(parse_ms), Field(ge=1)] | None, BeforeValidator(_none_word)
]
"""Whole milliseconds, or None (written `none`) for no limit."""

Words = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Several words; in the environment they are separated by commas."""

Arguments = Annotated[
    Mapping[str, Any], BeforeValidator(_from_json), AfterValidator(MappingProxyType), WrapSerializer(_as_dict)
]
"""Keyword arguments of a job; in the environment as JSON."""

FrozenMap = Annotated[Mapping[str, V], AfterValidator(MappingProxyType), WrapSerializer(_as_dict)]
"""A table by name that nobody can change after it was read."""


def empty_map() -> Mapping[str, Any]:
    """The default of a table that has no entries."""
    return MappingProxyType({})
