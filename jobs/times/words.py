"""A plan in plain English, so that a person sees whether it is what they meant."""

from datetime import datetime

from jobs.times.calendar import Exclusions, Window
from jobs.times.cron import Cron
from jobs.times.cron_words import clock_text, cron_in_words, joined, weekdays_in_words
from jobs.times.intervals import Every
from jobs.times.plan import Plan
from jobs.times.zones import wall_of, zone_of

_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_MOST_DATES = 3


def in_words(plan: Plan) -> str:
    """When the plan fires, as one phrase without a full stop: `at 09:00, Monday to Friday, Europe/Berlin`.

    A cron's zone is named when it is not UTC. What bounds the plan follows, after semicolons."""
    return "; ".join([_timing(plan), *_bounds(plan)])


def _timing(plan: Plan) -> str:
    timing = plan.timing
    if isinstance(timing, Cron):
        return cron_in_words(timing.fields) + (f", {plan.zone}" if plan.zone != "UTC" else "")
    if isinstance(timing, Every):
        once_a_day = " at 00:00 UTC" if timing.seconds % 86_400 == 0 else ""
        count, unit = _count(timing.seconds)
        return f"every {unit if count == 1 else f'{count} {unit}s'}{once_a_day}"
    return f"once, at {_moment(timing.at, plan.zone)}"


def _bounds(plan: Plan) -> list[str]:
    bounds = []
    if plan.start is not None:
        bounds.append(f"from {_moment(plan.start, plan.zone)}")
    if plan.end is not None:
        bounds.append(f"until {_moment(plan.end, plan.zone)}")
    excluded = _excluded(plan.exclusions)
    if excluded and plan.zone != "UTC" and not isinstance(plan.timing, Cron):
        excluded[-1] += f" ({plan.zone})"
    bounds += excluded
    if plan.jitter_s:
        count, unit = _count(plan.jitter_s)
        bounds.append(f"each up to {count} {unit}{'' if count == 1 else 's'} later")
    return bounds


def _count(seconds: int) -> tuple[int, str]:
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    return seconds // size, unit


def _moment(instant: datetime, zone: str) -> str:
    wall = wall_of(instant, zone_of(zone))
    text = wall.replace(fold=0).isoformat(" ", "seconds" if wall.second else "minutes")
    return f"{text} {zone}" + (" (the second time that the clock shows it)" if wall.fold else "")


def _excluded(exclusions: Exclusions) -> list[str]:
    found = []
    if len(exclusions.dates) > _MOST_DATES:
        found.append(f"not on {len(exclusions.dates)} excluded stretches of dates")
    elif exclusions.dates:
        spans = [f"{a}" if a == b else f"{a} to {b}" for a, b in exclusions.dates]
        found.append(f"not on {joined(spans, 'or')}")
    return found + [_window(window) for window in exclusions.windows]


def _window(window: Window) -> str:
    begin, until = (clock_text(*divmod(minutes, 60)) for minutes in (window.begin, window.until))
    days = "" if len(window.days) == 7 else f", {weekdays_in_words(window.days)}"
    return f"not from {begin} to {until}{days}"
