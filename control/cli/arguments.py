"""Reads what `callboard jobs add` was given into a request."""

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from control.service.names import python_names, value_of
from control.service.new_job import JobOptions
from control.service.requests import AuditRange, Changes, CleanRequest, DeadLetterFilter, LimitChange, Strict
from jobs.errors import InvalidPayload

C = TypeVar("C", bound=Changes)
S = TypeVar("S", bound=Strict)


def read_data(values: Sequence[str], document: str | None, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `name=value` words and of a JSON object, by parameter name.

    A value is text where the parameter is text, else JSON. Raises InvalidPayload.
    """
    data = python_names(schema, read_document(document) if document is not None else {})
    for word in values:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise InvalidPayload(f"{word!r} is no argument: write it as name=value")
        (parameter,) = python_names(schema, {name: None})
        if parameter in data:
            raise InvalidPayload(f"{parameter}: it is given twice")
        data[parameter] = value_of(value, schema.get("properties", {}).get(parameter, {}))
    return data


def read_options(given: Mapping[str, Any]) -> JobOptions:
    """The options with durations as milliseconds. Raises InvalidPayload, which names the option."""
    read = {name: value for name, value in given.items() if value is not None}
    for name in ("delay", "timeout", "retryFor", "deadline", "expires"):
        if name in read:
            read[name] = _milliseconds(name, read[name])
    if "backoff" in read:
        kind, _, wait = read["backoff"].partition(":")
        read["backoff"] = {"type": kind, "delay": _milliseconds("backoff", wait or "1s")}
    mode, key, ttl = (read.pop(name, None) for name in ("unique", "key", "ttl"))
    if mode or key or ttl:
        unique = {"mode": mode, "key": key, "ttl": _milliseconds("ttl", ttl) if ttl else None}
        read["unique"] = {name: value for name, value in unique.items() if value is not None}
    if "runAt" in read:
        read["runAt"] = read_moment("at", read["runAt"])
    return checked(JobOptions, read)


def read_moment(option: str, text: str, now: datetime | None = None) -> datetime:
    """A moment as ISO 8601, in this machine's zone where none is given, or as a time ago such as 2h.

    Raises InvalidPayload.
    """
    from settings import parse_ms

    with suppress(ValueError):
        return datetime.fromisoformat(text).astimezone()
    with suppress(ValueError):
        return (now or datetime.now(UTC)) - timedelta(milliseconds=parse_ms(text))
    raise InvalidPayload(f"{option}: write a moment as 2026-03-01T08:00, or a time ago as 2h")


def read_changes(kind: type[C], given: Mapping[str, str | None]) -> C:
    """Rules to change: `none` lifts one, `settings` lets it follow the settings. Raises InvalidPayload."""
    read: dict[str, Any] = {}
    for name, text in given.items():
        if text is None:
            continue
        if text == "settings":
            read[name] = None
        elif name.lower().endswith("rate"):
            read[name] = text
        elif name.lower().endswith("cap") and text == "none":
            read[name] = 0
        else:
            read[name] = value_of(text, {})
    return checked(kind, read)


def read_limit_change(given: Mapping[str, str | None]) -> LimitChange:
    """Numbers of a limit: `settings` lets one follow the settings. Raises InvalidPayload."""
    read = {
        name: None if text == "settings" else text if name == "per" else value_of(text, {})
        for name, text in given.items()
        if text is not None
    }
    return checked(LimitChange, read)


def read_filter(given: Mapping[str, Any], *, since: str | None, until: str | None) -> DeadLetterFilter:
    """Which dead letters are meant. Raises InvalidPayload."""
    moments = {"since": since, "until": until}
    read = {name: read_moment(name, text) for name, text in moments.items() if text is not None}
    return checked(DeadLetterFilter, {**given, **read})


def read_clean(state: str, older_than: str, keep: int) -> CleanRequest:
    """Which jobs shall go. Raises InvalidPayload."""
    age = _milliseconds("older-than", older_than)
    return checked(CleanRequest, {"state": state, "olderThanMs": age, "keep": keep})


def read_range(*, since: str | None, until: str | None, tenant: str | None, queue: str | None) -> AuditRange:
    """Which attempts a report is about. Raises InvalidPayload."""
    moments = {"since": since, "until": until}
    read: dict[str, Any] = {
        name: read_moment(name, text) for name, text in moments.items() if text is not None
    }
    return checked(AuditRange, {**read, "tenantId": tenant, "queue": queue})


def read_age(option: str, text: str) -> timedelta:
    """A span such as 90d. Raises InvalidPayload, which names the option."""
    return timedelta(milliseconds=_milliseconds(option, text))


def checked(kind: type[S], values: Mapping[str, Any]) -> S:
    """A request of these values. Raises InvalidPayload, which names the first one that is wrong."""
    from pydantic import ValidationError

    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise InvalidPayload(f"{where}: {said}" if where else said) from None


def read_document(text: str, option: str = "json") -> dict[str, Any]:
    """A JSON object: itself, in a file as @FILE, or @- from standard input. Raises InvalidPayload."""
    if text == "@-":
        text = sys.stdin.read()
    elif text.startswith("@"):
        text = Path(text[1:]).read_text(encoding="utf-8")
    try:
        data = json.loads(text)
    except ValueError as error:
        raise InvalidPayload(f"--{option} is not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise InvalidPayload(f'--{option} must be an object such as {{"user_id": "u1"}}')
    return data


def _milliseconds(option: str, text: str) -> int:
    from settings import parse_ms

    try:
        return parse_ms(int(text) if text.isdecimal() else text)
    except ValueError as error:
        raise InvalidPayload(f"{option}: it {error}") from None
