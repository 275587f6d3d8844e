"""The texts that values would be quoted by: strings themselves, of others what `str` makes of them."""

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time
from enum import Enum


def texts_of(values: Collection[object], most: float, most_characters: float) -> list[str]:
    """Looks into lists, dictionaries, sets, data classes and pydantic models. Never raises.

    Ends once there are `most` texts, or more than `most_characters` together.
    """
    texts: list[str] = []
    size = 0
    for text in _texts(values):
        texts.append(text)
        size += len(text)
        if len(texts) >= most or size > most_characters:
            break
    if any(_halved(text) for text in texts):
        # Written as the text of an exception is.
        texts = [text.encode("utf-8", "replace").decode() for text in texts]
    return texts


def _texts(values: Collection[object]) -> Iterator[str]:
    waiting: deque[object] = deque(values)
    seen: set[int] = set()  # a list may hold itself
    while waiting:
        value = waiting.popleft()
        if isinstance(value, str):
            yield str.__str__(value)
        elif isinstance(value, bool) or value is None:
            continue
        elif isinstance(value, int | float):
            yield from _words_of(value)
        elif isinstance(value, bytes | bytearray):
            yield value.decode("utf-8", "replace")
            yield repr(bytes(value))[2:-1]
        elif isinstance(value, tuple):
            waiting.extend(value)
        elif isinstance(value, Enum):
            waiting.append(value.value)
        elif id(value) in seen:
            continue
        elif (within := _within(value)) is not None:
            seen.add(id(value))
            waiting.extend(within)
        else:
            yield from _words_of(value)


def _within(value: object) -> list[object] | None:
    """What a value holds; None: it is no holder of others."""
    if isinstance(value, Mapping):
        return [part for pair in list(value.items()) for part in pair]
    if isinstance(value, list | set | frozenset | deque):
        return list(value)
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name, None) for field in fields(value)]
    if hasattr(type(value), "model_fields"):  # of pydantic
        return [*vars(value).values(), getattr(value, "__pydantic_extra__", None)]
    return None


def _words_of(value: object) -> Iterator[str]:
    """Numbers, dates, ids, paths, pydantic's secrets."""
    try:
        yield str(value)
        if isinstance(value, date | time):
            yield value.isoformat()
        if callable(secret := getattr(value, "get_secret_value", None)):
            yield str(secret())
    except Exception:  # noqa: BLE001  what cannot be written cannot be quoted; the job must be settled
        return


def _halved(text: str) -> bool:
    """Whether it has half a surrogate pair, which has no bytes."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
