"""Arguments of a schedule whose texts name the tick: `{tick}`, `{previous_tick}`, `{schedule}`."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from jobs.errors import InvalidSchedule
from jobs.times.zones import instant_text

#: What a text in the arguments may have in braces.
TEMPLATES = ("tick", "previous_tick", "schedule")
_MARK = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_DEEPEST = 30


def filled(value: Any, tick: datetime, previous: datetime | None, name: str) -> Any:
    """The value with {tick}, {previous_tick} and {schedule} filled in all its texts, at any depth (not in the
    names of mappings). `{{` and `}}` are braces. Raises InvalidSchedule as `check_templates` does, and for
    {previous_tick} when there is none."""
    texts = {"tick": instant_text(tick), "schedule": name}
    if previous is not None:
        texts["previous_tick"] = instant_text(previous)

    def text_for(mark: re.Match[str]) -> str:
        if mark[0] in ("{{", "}}"):
            return mark[0][0]
        if mark[1] == "previous_tick" and previous is None:
            raise InvalidSchedule("args use {previous_tick}, and this tick has none before it.")
        return texts[_checked(mark)]

    return _mapped(value, lambda text: _MARK.sub(text_for, text) if "{" in text or "}" in text else text)


def check_templates(value: Any) -> set[str]:
    """The templates that the value uses. Raises InvalidSchedule for an unknown one and for a lone brace."""
    used: set[str] = set()
    for text in _texts(value, 0):
        if "{" in text or "}" in text:
            used.update(_checked(mark) for mark in _MARK.finditer(text) if mark[0] not in ("{{", "}}"))
    return used


def _checked(mark: re.Match[str]) -> str:
    name = mark[1]
    if name in TEMPLATES:
        return name
    raise InvalidSchedule(
        f"args have {mark[0][:50]!r}, and only {{tick}}, {{previous_tick}} and {{schedule}} are filled: "
        "write {{ and }} for braces."
    )


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _mapped(part, change) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mapped(part, change) for part in value]
    return value


def _texts(value: Any, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise InvalidSchedule(f"args must not be nested deeper than {_DEEPEST}.")
    if isinstance(value, str):
        yield value
    elif isinstance(value, (Mapping, list, tuple)):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(part, depth + 1)
