"""Reads what `callboard jobs add` was given into a request."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from control.service.jobs import JobOptions
from control.service.names import python_names
from jobs.errors import InvalidPayload


def read_data(values: Sequence[str], document: str | None, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `name=value` words and of a JSON object, by parameter name.

    A value is text where the parameter is text, else JSON. Raises InvalidPayload.
    """
    data = python_names(schema, _document(document) if document is not None else {})
    for word in values:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise InvalidPayload(f"{word!r} is no argument: write it as name=value")
        (parameter,) = python_names(schema, {name: None})
        if parameter in data:
            raise InvalidPayload(f"{parameter}: it is given twice")
        data[parameter] = _value(value, schema.get("properties", {}).get(parameter, {}))
    return data


def read_options(given: Mapping[str, Any]) -> JobOptions:
    """The options with durations as milliseconds. Raises InvalidPayload, which names the option."""
    from pydantic import ValidationError

    read = {name: value for name, value in given.items() if value is not None}
    for name in ("delay", "timeout"):
        if name in read:
            read[name] = _milliseconds(name, read[name])
    if "backoff" in read:
        kind, _, wait = read["backoff"].partition(":")
        read["backoff"] = {"type": kind, "delay": _milliseconds("backoff", wait or "1s")}
    try:
        return JobOptions(**read)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidPayload(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _document(text: str) -> dict[str, Any]:
    if text == "@-":
        text = sys.stdin.read()
    elif text.startswith("@"):
        text = Path(text[1:]).read_text(encoding="utf-8")
    try:
        data = json.loads(text)
    except ValueError as error:
        raise InvalidPayload(f"--json is not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise InvalidPayload('--json must be an object such as {"user_id": "u1"}')
    return data


def _value(text: str, schema: Mapping[str, Any]) -> Any:
    kinds = {schema.get("type"), *(part.get("type") for part in schema.get("anyOf", []))}
    if "string" in kinds:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text  # validation says what is wrong with it


def _milliseconds(option: str, text: str) -> int:
    from settings import parse_ms

    try:
        return parse_ms(int(text) if text.isdecimal() else text)
    except ValueError as error:
        raise InvalidPayload(f"{option}: it {error}") from None
