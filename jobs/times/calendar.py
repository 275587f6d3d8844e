"""Times at which a schedule does not fire: days of a calendar, and windows of the day, by the local clock."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from jobs.errors import InvalidSchedule
from jobs.times.fields import parse_weekdays
from jobs.times.zones import wall_of, zone_of

MOST_DATES, MOST_WINDOWS = 1_000, 50
_DAY_MINUTES = 24 * 60
_WEEK_MINUTES = 7 * _DAY_MINUTES
_EVERY_DAY = frozenset(range(7))
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """From a time of the day until, without it, another; both in minutes since midnight, `until` at most
    1,440. One that is not later is of the next day. `days` are those it begins on, 0 being Sunday."""

    begin: int
    until: int
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)

    @property
    def length(self) -> int:
        """Its minutes."""
        return (self.until - self.begin) % _DAY_MINUTES or _DAY_MINUTES


@dataclass(frozen=True, slots=True)
class Exclusions:
    """`dates` are first and last day of each stretch, both in it, in order and apart. Made by `parse`."""

    dates: tuple[tuple[date, date], ...] = ()
    windows: tuple[Window, ...] = ()

    @classmethod
    def parse(cls, dates: Iterable[object] = (), windows: Iterable[object] = ()) -> "Exclusions":
        """Read `2026-12-25` and `2026-12-27/2027-01-02`, and `{"from": "22:00", "to": "06:00", "days":
        "mon-fri"}` (days as in cron; without them, every day). Raises InvalidSchedule."""
        spans = [_span(text) for text in _listed("exclude.dates", dates, MOST_DATES)]
        read = {_window(table) for table in _listed("exclude.windows", windows, MOST_WINDOWS)}
        _leaves_time(read)
        return cls(_merged(spans), tuple(sorted(read)))

    def __bool__(self) -> bool:
        return bool(self.dates or self.windows)

    def excludes(self, instant: datetime, zone: str) -> bool:
        """Whether a tick at this instant is left out, by the clock of the zone."""
        return bool(self) and self.stretch(wall_of(instant, zone_of(zone))) is not None

    def stretch(self, wall: datetime) -> tuple[datetime, datetime] | None:
        """Begin and end (not in it) of an excluded stretch that this wall time lies in, by the same clock."""
        day = wall.date()
        at = bisect_right(self.dates, (day, date.max)) - 1
        if at >= 0 and day <= self.dates[at][1]:
            return _midnight(self.dates[at][0]), _midnight(self.dates[at][1] + _ONE_DAY)
        for window in self.windows:
            for begins_on in (day, day - _ONE_DAY) if window.until <= window.begin else (day,):
                if begins_on.isoweekday() % 7 in window.days:
                    begin = _midnight(begins_on) + timedelta(minutes=window.begin)
                    end = begin + timedelta(minutes=window.length)
                    if begin <= wall.replace(fold=0) < end:
                        return begin, end
        return None

    def document(self) -> dict[str, Any]:
        """What `parse` reads, by the names of its parameters; empty parts are left out."""
        found: dict[str, Any] = {}
        if self.dates:
            found["dates"] = [f"{a}" if a == b else f"{a}/{b}" for a, b in self.dates]
        if self.windows:
            found["windows"] = [_table(window) for window in self.windows]
        return found


def clock_text(minutes: int) -> str:
    """`09:05` of 545."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


def weekdays_text(days: Sequence[int]) -> str:
    """`mon-fri` or `sat,sun`: the week from Monday, runs of three and more as a range."""
    order = sorted(days, key=lambda day: (day - 1) % 7)
    runs: list[list[int]] = []
    for day in order:
        if runs and (runs[-1][-1] + 1) % 7 == day:
            runs[-1].append(day)
        else:
            runs.append([day])
    texts = [
        [f"{_DAYS[run[0]]}-{_DAYS[run[-1]]}"] if len(run) > 2 else [_DAYS[day] for day in run] for run in runs
    ]
    return ",".join(text for run in texts for text in run)


def _listed(name: str, given: object, most: int) -> list[Any]:
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise InvalidSchedule(f"{name} must be a list.")
    found = list(given)
    if len(found) > most:
        raise InvalidSchedule(f"{name} must have at most {most} entries, and has {len(found)}.")
    return found


def _span(given: object) -> tuple[date, date]:
    if isinstance(given, date) and not isinstance(given, datetime):  # TOML has dates of its own
        return given, given
    first, slash, last = str(given).partition("/")
    try:
        span = date.fromisoformat(first.strip()), date.fromisoformat((last if slash else first).strip())
    except ValueError:
        raise InvalidSchedule(
            f"exclude.dates {str(given)[:50]!r} must be a day such as '2026-12-25' or a stretch such as "
            "'2026-12-27/2027-01-02'."
        ) from None
    if span[1] < span[0]:
        raise InvalidSchedule(f"exclude.dates {given!r} ends before it begins.")
    if span[1] == date.max or span[0] == date.min:
        raise InvalidSchedule(f"exclude.dates {given!r} is at an end of the calendar.")
    return span


def _window(given: object) -> Window:
    if not isinstance(given, Mapping) or not {"from", "to"} <= given.keys() <= {"from", "to", "days"}:
        raise InvalidSchedule(
            "exclude.windows must have tables with from, to and perhaps days, such as "
            '{from = "22:00", to = "06:00", days = "mon-fri"}.'
        )
    begin, until = _minutes("from", given["from"]), _minutes("to", given["to"])
    if begin == _DAY_MINUTES:
        raise InvalidSchedule("exclude.windows.from '24:00' must be a time of the day, up to 23:59.")
    if begin == until:
        raise InvalidSchedule(
            f"exclude.windows from {clock_text(begin)} to {clock_text(until)} has no length: for whole days, "
            "give 00:00 to 24:00."
        )
    days = given.get("days")
    return Window(
        begin, until or _DAY_MINUTES, tuple(sorted(_EVERY_DAY if days is None else _weekdays(days)))
    )


def _weekdays(given: object) -> frozenset[int]:
    try:
        return parse_weekdays(str(given))
    except InvalidSchedule as error:
        raise InvalidSchedule(f"exclude.windows.days: {error}") from None


def _minutes(name: str, given: object) -> int:
    text = f"{given:%H:%M}" if isinstance(given, time) else str(given)
    hour, colon, minute = text.partition(":")
    if (
        colon
        and len(hour) in (1, 2)
        and len(minute) == 2
        and f"{hour}{minute}".isdecimal()
        and text.isascii()
    ):
        total = int(hour) * 60 + int(minute)
        if int(minute) < 60 and total <= _DAY_MINUTES:
            return total
    raise InvalidSchedule(
        f"exclude.windows.{name} {text[:50]!r} must be a time from '00:00' to '24:00', such as '22:30'."
    )


def _table(window: Window) -> dict[str, str]:
    table = {"from": clock_text(window.begin), "to": clock_text(window.until)}
    return table if len(window.days) == 7 else {**table, "days": weekdays_text(window.days)}


def _merged(spans: list[tuple[date, date]]) -> tuple[tuple[date, date], ...]:
    merged: list[tuple[date, date]] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + _ONE_DAY:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def _leaves_time(windows: set[Window]) -> None:
    stretches = sorted(
        (day * _DAY_MINUTES + window.begin + week * _WEEK_MINUTES, window.length)
        for window in windows
        for day in window.days
        for week in (-1, 0)
    )
    covered = 0
    for begin, length in stretches:
        if begin > covered:
            return
        covered = max(covered, begin + length)
    if covered >= _WEEK_MINUTES:
        raise InvalidSchedule("exclude.windows leave no time in the week: the schedule would never fire.")


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)
