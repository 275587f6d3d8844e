"""Takes a job's arguments out of a text that may quote them."""

import json
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time
from enum import Enum

HIDDEN = "[argument]"
#: A shorter value may stand in any sentence by chance.
SHORTEST = 4
#: So many characters of a longer value are known as a part of it: libraries shorten what they quote.
WINDOW = 12
#: Bounds of the search.
MOST_VALUES, LONGEST_VALUE = 2_000, 10_000


def hide_values(text: str, values: Collection[object], cut: int | None = None) -> str:
    """The first `cut` characters of the text, in which `[argument]` stands for each value in `values`.

    Looks into lists, dictionaries, sets, data classes and pydantic models. Never raises.
    """
    if not values:
        return text[:cut]
    covered = bytearray(len(text))
    windows: dict[str, list[int]] = {}
    for at in range(len(text) - WINDOW + 1):
        windows.setdefault(text[at : at + WINDOW], []).append(at)
    for form in _forms(values):
        at = text.find(form)
        while at >= 0:
            covered[at : at + len(form)] = b"x" * len(form)
            at = text.find(form, at + 1)
        for start in range(len(form) - WINDOW + 1):
            for at in windows.get(form[start : start + WINDOW], ()):
                covered[at : at + WINDOW] = b"x" * WINDOW
    return "".join(_pieces(text[:cut], covered))


def _pieces(text: str, covered: bytearray) -> Iterator[str]:
    # Marked first and replaced once: a value may stand within another one, or in "[argument]" itself.
    within = False
    for character, hidden in zip(text, covered, strict=False):
        if not hidden:
            yield character
        elif not within:
            yield HIDDEN
        within = bool(hidden)


def _forms(values: Collection[object]) -> set[str]:
    """All values as a message would quote them: plain, as Python's repr, and as JSON."""
    forms: set[str] = set()
    for text in _texts(values):
        text = text[:LONGEST_VALUE]
        for form in (text, text.strip(), repr(text)[1:-1], ascii(text)[1:-1], json.dumps(text)[1:-1]):
            if len(form.strip()) >= SHORTEST:
                # Written as the text of the exception is.
                forms.add(form.encode("utf-8", "replace").decode())
    return forms


def _texts(values: Collection[object]) -> Iterator[str]:
    waiting: deque[object] = deque(values)
    for _ in range(MOST_VALUES):
        if not waiting:
            return
        value = waiting.popleft()
        if isinstance(value, bool) or value is None:
            continue
        if isinstance(value, str):
            yield str.__str__(value)
        elif isinstance(value, bytes | bytearray):
            yield value.decode("utf-8", "replace")
            yield repr(bytes(value))[2:-1]
        elif isinstance(value, Mapping):
            waiting.extend(list(value.items())[:MOST_VALUES])
        elif isinstance(value, list | tuple | set | frozenset | deque):
            waiting.extend(list(value)[:MOST_VALUES])
        elif isinstance(value, Enum):
            waiting.append(value.value)
        elif is_dataclass(value) and not isinstance(value, type):
            waiting.extend(getattr(value, field.name, None) for field in fields(value))
        elif hasattr(type(value), "model_fields"):  # of pydantic
            waiting.extend(vars(value).values())
            waiting.append(getattr(value, "__pydantic_extra__", None))
        else:
            yield from _words_of(value)


def _words_of(value: object) -> Iterator[str]:
    """Numbers, dates, ids, paths, pydantic's secrets: what `str` makes of them."""
    try:
        yield str(value)
        if isinstance(value, date | time):
            yield value.isoformat()
        if callable(secret := getattr(value, "get_secret_value", None)):
            yield str(secret())
    except Exception:  # noqa: BLE001  what cannot be written cannot be quoted; the job must be settled
        return
