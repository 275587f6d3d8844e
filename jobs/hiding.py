"""Takes a job's arguments out of a text that may quote them."""

import json
import re
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time
from enum import Enum
from urllib.parse import quote, quote_plus, unquote_plus

HIDDEN = "[argument]"
#: A shorter value may stand in any sentence by chance.
SHORTEST = 4
#: So many characters of a longer value are known as a part of it: libraries shorten what they quote.
WINDOW = 12
#: Bounds of the search.
MOST_VALUES, LONGEST_VALUE = 2_000, 10_000
#: What may be base64 or hexadecimal, and a part of an address that may be quoted.
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{6,}")
_QUOTED = re.compile(r"[^\s\"'<>&=?/:;,]*(?:%[0-9A-Fa-f]{2}|\+)[^\s\"'<>&=?/:;,]*")
_JOINTS = re.compile(r"[-+/_]")
_STANDARD = str.maketrans("-_", "+/")


class Private(tuple[object, ...]):
    """Values of which even the shortest is hidden: those of an encrypted job."""


def to_hide(args: Collection[object], kwargs: Mapping[str, object], *, secret: bool) -> tuple[object, ...]:
    """The arguments of a job as `hide_values` takes them; names of parameters may be told. `secret`: it came
    encrypted."""
    values = (*args, *kwargs.values())
    return Private(values) if secret else values


def hide_values(text: str, values: Collection[object], cut: int | None = None) -> str:
    """The first `cut` characters of the text, in which `[argument]` stands for each value in `values`, also
    where it is written as base64, in hexadecimal, or quoted for an address.

    Looks into lists, dictionaries, sets, data classes and pydantic models. Never raises.
    """
    if not values:
        return text[:cut]
    covered = bytearray(len(text))
    windows: dict[str, list[int]] = {}
    for at in range(len(text) - WINDOW + 1):
        windows.setdefault(text[at : at + WINDOW], []).append(at)
    codes = _decoded(text)
    decoded = "\n".join(plain for _, _, plain in codes)
    shortest = 1 if isinstance(values, Private) else SHORTEST
    for form in _forms(values, shortest, quoted="%" in text or "+" in text):
        if len(form) >= SHORTEST and form[:WINDOW] in decoded:
            for start, end, plain in codes:
                if form[:WINDOW] in plain:
                    covered[start:end] = b"x" * (end - start)
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


def _decoded(text: str) -> list[tuple[int, int, str]]:
    """What may be said in an encoded form: from where to where, and how it reads."""
    found = [(*quoted.span(), unquote_plus(quoted.group())) for quoted in _QUOTED.finditer(text)]
    for code in _ENCODED.finditer(text):
        start, end = code.span()
        pieces = {code.group(), *_JOINTS.split(code.group())}
        found += [(start, end, plain) for piece in pieces for plain in _readings(piece)]
    return found


def _readings(code: str) -> Iterator[str]:
    whole = len(code) - (len(code) % 4 == 1)  # one letter more says nothing
    yield b64decode(code[:whole].translate(_STANDARD) + "=" * (-whole % 4)).decode("utf-8", "replace")
    try:
        yield bytes.fromhex(code[: len(code) // 2 * 2]).decode("utf-8", "replace")
    except ValueError:
        return


def _forms(values: Collection[object], shortest: int, *, quoted: bool) -> set[str]:
    """All values as a message would quote them: plain, as Python's repr, and as JSON."""
    forms: set[str] = set()
    for text in _texts(values):
        text = text[:LONGEST_VALUE]
        written = [text, text.strip(), repr(text)[1:-1], ascii(text)[1:-1], json.dumps(text)[1:-1]]
        if quoted:
            data = text.encode("utf-8", "replace")
            written += [quote(data), quote(data, safe=""), quote_plus(data)]
        for form in written:
            if len(form.strip()) >= shortest:
                # Written as the text of the exception is.
                forms.add(form.encode("utf-8", "replace").decode())
        if shortest < SHORTEST and 0 < len(text) < SHORTEST:
            # Too short to be looked for in what could be a code by chance.
            data = text.encode("utf-8", "replace")
            forms |= {data.hex(), data.hex().upper(), b64encode(data).decode().rstrip("=")}
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
