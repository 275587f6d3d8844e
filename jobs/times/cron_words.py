"""A cron spec in plain English, by what it does and not by how it is written.

`every 15 minutes`, `at 09:00, Monday to Friday`, `at 02:30 on the last day of the month`; what has no short
sentence is listed field by field: `at minutes 0, 7 and 14 of the hours 9 to 17`.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from jobs.times.fields import LAST, Fields

_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PLACES = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", LAST: "last"}
#: More times of a day than this are said by hours and minutes.
_MOST_TIMES = 6


def cron_in_words(fields: Fields) -> str:
    """When the fields fire, without the zone."""
    times = _times(sorted(fields.minutes), sorted(fields.hours))
    days = _days(fields)
    if not days and times.startswith("at ") and ":" in times:
        days = " every day"
    if len(fields.months) < 12 and not days.endswith(f"of {_months(fields)}"):
        span = _months(fields).removeprefix("each month ")
        comma = span.startswith("from ") or "," in days or " of " in days
        days += f"{',' if comma else ''} {'' if span.startswith('from ') else 'in '}{span}"
    return times + days


def clock_text(hour: int, minute: int) -> str:
    """`09:05`."""
    return f"{hour:02}:{minute:02}"


def joined(parts: Sequence[str], word: str = "and") -> str:
    """`a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {word} {parts[-1]}"


def weekdays_in_words(days: Iterable[int], word: str = "and") -> str:
    """`Monday to Friday` of three days and more that follow one another, else `Monday and Friday`."""
    week = _from_monday(days)
    span = _span(week)
    return span or joined([_WEEKDAYS[day] for day in week], word)


def _times(minutes: list[int], hours: list[int]) -> str:
    if len(minutes) * len(hours) <= _MOST_TIMES:
        return f"at {joined([clock_text(hour, minute) for hour in hours for minute in minutes])}"
    apart = 60 // len(minutes)
    spread = minutes == list(range(minutes[0], 60, apart)) and apart * len(minutes) == 60
    often = {1: "every minute", 60: "every hour"}.get(apart, f"every {apart} minutes")
    first, last = clock_text(hours[0], minutes[0]), clock_text(hours[-1], minutes[-1])
    between = _apart(hours)
    if len(hours) == 24:
        if spread and minutes[0] == 0:
            return often
        return f"at {_numbers('minute', minutes)} of every hour"
    if spread and (between == 1 or len(hours) == 1):
        return f"{often} from {first} to {last}"
    if len(minutes) == 1 and between:
        return f"every {between} hours from {first} to {last}"
    if len(hours) == 1 and _apart(minutes) == 1:
        return f"every minute from {first} to {last}"
    if spread and minutes[0] == 0 and len(minutes) > 1:
        return f"{often} in the {_numbers('hour', hours)}"
    return f"at {_numbers('minute', minutes)} of the {_numbers('hour', hours)}"


def _days(fields: Fields) -> str:
    by_month, by_week = len(fields.days) < 31, len(fields.weekdays) < 7
    if fields.either and not (by_month and by_week):
        return ""  # one of two that are enough is every day
    if by_month and by_week:
        month = f" on {_days_of_month(fields)} of the month"
        if fields.either:
            return f"{month} or on {_days_of_week(fields, 'or', 'the month')}"
        return f"{month}, only if it is {_days_of_week(fields, 'or', 'the month')}"
    if by_month:
        return f" on {_days_of_month(fields)} of {_months(fields)}"
    if not by_week:
        return ""
    if not fields.nth and _span(_from_monday(fields.weekdays)):
        return f", {weekdays_in_words(fields.weekdays)}"
    return f" on {_days_of_week(fields, 'and', 'the month' if fields.weekdays else _months(fields))}"


def _months(fields: Fields) -> str:
    if len(fields.months) == 12:
        return "the month"
    months = sorted(fields.months)
    if len(months) > 2 and _apart(months) == 1:
        return f"each month from {_MONTHS[months[0] - 1]} to {_MONTHS[months[-1] - 1]}"
    return joined([_MONTHS[month - 1] for month in months])


def _days_of_month(fields: Fields) -> str:
    longest = max(_LENGTHS[month - 1] for month in fields.months)
    numbers = [day for day in sorted(fields.days) if day <= longest]
    days = [_numbers("day", numbers)] if numbers else []
    return " and ".join([*days, "the last day"] if fields.last_day else days)


def _days_of_week(fields: Fields, word: str, month: str) -> str:
    week = _from_monday(fields.weekdays)
    places = [
        f"the {_PLACES[place]} {_WEEKDAYS[day]}"
        for day, place in sorted(fields.nth, key=lambda item: (item[1] % 6, (item[0] - 1) % 7))
        if day not in fields.weekdays
    ]
    if not places:
        span = _span(week)
        return f"a day from {span}" if span else joined([_WEEKDAYS[day] for day in week], word)
    return f"{joined([*(_WEEKDAYS[day] for day in week), *places], word)} of {month}"


def _from_monday(days: Iterable[int]) -> list[int]:
    return sorted(days, key=lambda day: (day - 1) % 7)


def _span(week: list[int]) -> str:
    """Days from Monday on as a range, when they are one of three or more."""
    if len(week) > 2 and _apart([(day - 1) % 7 for day in week]) == 1:
        return f"{_WEEKDAYS[week[0]]} to {_WEEKDAYS[week[-1]]}"
    return ""


def _apart(values: list[int]) -> int:
    """How far each value is from the one before it; 0 when that differs, or there is one only."""
    steps = {later - earlier for earlier, later in pairwise(values)}
    return steps.pop() if len(steps) == 1 else 0


def _numbers(name: str, values: list[int]) -> str:
    """`day 1`, `days 1, 8 and 15`, `minutes 0 to 10 and 30`."""
    if len(values) == 1:
        return f"{name} {values[0]}"
    runs: list[list[int]] = []
    for value in values:
        if runs and runs[-1][-1] == value - 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    texts = [[f"{run[0]} to {run[-1]}"] if len(run) > 2 else [str(value) for value in run] for run in runs]
    return f"{name}s {joined([text for run in texts for text in run])}"
