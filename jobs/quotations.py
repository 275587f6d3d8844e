"""The ways in which a text may be read: as it stands, and with its escapes, quotings and codes undone."""

import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

#: What may be base64 or hexadecimal.
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{6,}")
_JOINTS = re.compile(r"[-+/_]")
_STANDARD = str.maketrans("-_", "+/")
#: As Python and JSON write what is not printable.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[abfnrtv'\"/\\])"
)
_PLAIN_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
#: Bytes as Python writes them, and those of an address.
_BYTES = re.compile(r"(?:\\x[0-9a-fA-F]{2})+")
_PERCENT = re.compile(r"(?:%[0-9a-fA-F]{2})+")
_PERCENT_OR_PLUS = re.compile(r"\+|(?:%[0-9a-fA-F]{2})+")


class Reading(NamedTuple):
    """How a text may be read, and from where to where each character of that stands in the text.

    `code`: it is of one word only, which may have this meaning by chance.
    """

    plain: str
    starts: Sequence[int]
    ends: Sequence[int]
    code: bool = False


def readings(text: str) -> Iterator[Reading]:
    """The text as it stands first, codes last."""
    yield Reading(text, range(len(text)), range(1, len(text) + 1))
    if "\\" in text:
        yield _undone(text, _ESCAPE, _unescaped)
    if "\\x" in text:
        yield _undone(text, _BYTES, lambda run: _utf8(run.replace("\\x", "")))
    if "%" in text:
        yield _undone(text, _PERCENT, lambda run: _utf8(run.replace("%", "")))
    if "+" in text:
        yield _undone(text, _PERCENT_OR_PLUS, lambda run: " " if run == "+" else _utf8(run.replace("%", "")))
    for code in _ENCODED.finditer(text):
        start, end = code.span()
        for piece in {code.group(), *_JOINTS.split(code.group())}:
            for plain in _meanings(piece):
                yield Reading(plain, [start] * len(plain), [end] * len(plain), code=True)


def _undone(text: str, pattern: re.Pattern[str], meaning: Callable[[str], str]) -> Reading:
    plain: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    at = 0
    for match in pattern.finditer(text):
        start, end = match.span()
        told = meaning(match.group())
        plain += (text[at:start], told)
        starts += (*range(at, start), *[start] * len(told))
        ends += (*range(at + 1, start + 1), *[end] * len(told))
        at = end
    plain.append(text[at:])
    starts += range(at, len(text))
    ends += range(at + 1, len(text) + 1)
    return Reading("".join(plain), starts, ends)


def _unescaped(escape: str) -> str:
    kind = escape[1]
    if kind not in "xuU":
        return _PLAIN_ESCAPES.get(kind, kind)
    parts = [int(part, 16) for part in re.split(r"\\[xuU]", escape)[1:]]
    if len(parts) == 2:
        return chr(0x10000 + (parts[0] - 0xD800 << 10) + parts[1] - 0xDC00)
    return "?" if parts[0] > 0x10FFFF or 0xD800 <= parts[0] < 0xE000 else chr(parts[0])


def _utf8(digits: str) -> str:
    return bytes.fromhex(digits).decode("utf-8", "replace")


def _meanings(code: str) -> Iterator[str]:
    whole = len(code) - (len(code) % 4 == 1)  # one letter more says nothing
    yield b64decode(code[:whole].translate(_STANDARD) + "=" * (-whole % 4)).decode("utf-8", "replace")
    try:
        yield bytes.fromhex(code[: len(code) // 2 * 2]).decode("utf-8", "replace")
    except ValueError:
        return
