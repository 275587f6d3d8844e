"""Reads what `callboard schedules add`, `edit` and `preview` were given into requests."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from control.cli.arguments import checked, read_data
from control.service.schedule_requests import NewScheduleRequest, PreviewRequest, ScheduleChanges
from jobs.errors import InvalidPayload

NONE = "none"
_NUMBERS = ("priority", "attempts", "catchUpMax")
_MOMENTS = ("at", "start", "end")
#: What options of the commands are called in the API, where that is another name.
_WORDS = {
    "exclude_date": "dates",
    "exclude_window": "windows",
    "tenant": "tenantId",
    "user": "userId",
    "catch_up": "catchUp",
    "catch_up_window": "catchUpWindow",
    "catch_up_max": "catchUpMax",
}
_OPTIONS = (
    *("cron", "every", "at", "timezone", "exclude_date", "exclude_window", "jitter", "start", "end"),
    *("tenant", "user", "priority", "timeout", "attempts", "expires", "deadline", "gate"),
    *("catch_up", "catch_up_window", "catch_up_max", "overlap", "enabled", "description"),
)


def arguments_of(actor: str, values: Sequence[str], document: str | None) -> dict[str, Any] | None:
    """The arguments that were given; None for none at all. Raises InvalidPayload and UnknownActor."""
    from actors import app

    if not values and document is None:
        return None
    return read_data(values, document, app.schema(actor))


def options_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The options among a command's parameters, by the names of the API; None is what was not given."""
    return {_WORDS.get(name, name): parameters[name] for name in _OPTIONS if name in parameters}


def read_new(name: str, actor: str, args: Mapping[str, Any], given: Mapping[str, Any]) -> NewScheduleRequest:
    """A new schedule. Raises InvalidPayload, which names what is wrong."""
    return checked(
        NewScheduleRequest, {"name": name, "actor": actor, "args": dict(args), **_read(given, "UTC")}
    )


def read_schedule_changes(
    given: Mapping[str, Any], args: Mapping[str, Any] | None, zone: str
) -> ScheduleChanges:
    """Changes, where `none` takes something away; `zone` is the schedule's own. Raises InvalidPayload."""
    gone = {name: None for name, value in given.items() if value == NONE}
    kept = {name: [] if value == [NONE] else value for name, value in given.items() if name not in gone}
    arguments = {} if args is None else {"args": dict(args)}
    return checked(ScheduleChanges, {**_read(kept, zone), **gone, **arguments})


def read_preview(given: Mapping[str, Any], after: str | None, count: int) -> PreviewRequest:
    """A timing. Raises InvalidPayload."""
    read = _read(given, "UTC")
    if after is not None:
        read["after"] = _moment("after", after, read.get("timezone", "UTC"))
    return checked(PreviewRequest, {**read, "count": count})


def _read(given: Mapping[str, Any], zone: str) -> dict[str, Any]:
    read = {name: value for name, value in given.items() if value is not None}
    zone = read.get("timezone", zone)
    for name in _NUMBERS:
        if name in read and read[name].isdecimal():
            read[name] = int(read[name])
    for name in _MOMENTS:
        if name in read:
            read[name] = _moment(name, read[name], zone)
    dates, windows = read.pop("dates", None), read.pop("windows", None)
    if dates is not None or windows is not None:
        read["exclude"] = {"dates": dates or [], "windows": [_window(one) for one in windows or []]}
    return read


def _window(text: str) -> dict[str, Any]:
    hours, _, days = text.strip().partition(" ")
    begin, dash, end = hours.partition("-")
    if not dash:
        raise InvalidPayload("exclude-window: write it as '22:00-06:00' or '22:00-06:00 mon-fri'")
    return {"from": begin, "to": end, **({"days": days.strip()} if days.strip() else {})}


def _moment(option: str, text: str, zone: str) -> datetime:
    """A moment as ISO 8601; by the schedule's zone where it names none itself."""
    from zoneinfo import ZoneInfo

    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidPayload(f"{option}: write a moment as 2026-12-01T08:00") from None
    if read.tzinfo is not None:
        return read
    try:
        return read.replace(tzinfo=ZoneInfo(zone))
    except (KeyError, ValueError, OSError):
        raise InvalidPayload(
            f"timezone: there is no zone {zone!r}; write it as Europe/Berlin or UTC"
        ) from None
