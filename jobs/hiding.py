"""Takes a job's arguments out of a text that may quote them."""

import math
from base64 import b64encode
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

from jobs.argument_texts import texts_of
from jobs.quotations import Reading, readings

HIDDEN = "[argument]"
#: A shorter value may stand in any sentence by chance.
SHORTEST = 4
#: So many characters of a longer value are known as a part of it: libraries shorten what they quote.
WINDOW = 12
#: Of more than this no text is told at all: looking for it would keep the processor from other jobs.
MOST_VALUES, MOST_CHARACTERS = 100_000, 4_000_000
TOO_MUCH = "[not told: its job has too many arguments to take them out of it]"

#: Values that are looked at together, in characters.
_CHUNK = 1_000_000
_BETWEEN_VALUES, _BETWEEN_READINGS = "\uffff", "\ufffe"
#: Characters that are compared at once, as one number.
_GRAM = 8
#: So many texts of a run are remembered: its record, its row and its log lines tell the same.
_MOST_TOLD = 32


class Run(Protocol):
    """A delivery of a job. `secret`: it came encrypted. `hidden` is kept here from one text to the next."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    secret: bool
    hidden: "Arguments | None"


class Arguments:
    """Values that no text may quote. Those shorter than `shortest` may stand."""

    def __init__(self, values: Collection[object], shortest: int = SHORTEST) -> None:
        self.values = values
        self.shortest = shortest
        self._texts: list[str] | None = None
        self._told: dict[tuple[str, int | None], str] = {}

    def hide(self, text: str, cut: int | None = None) -> str:
        """The first `cut` characters of the text, in which `[argument]` stands for each value, also where it
        is escaped, quoted for an address, or written as base64 or in hexadecimal. Never raises."""
        if not self.values:
            return text[:cut]
        known = self._told.get((text, cut))
        if known is None:
            if len(self._told) >= _MOST_TOLD:
                self._told.clear()
            known = self._told[text, cut] = self._hidden(text, cut)
        return known

    def _hidden(self, text: str, cut: int | None) -> str:
        if self._texts is None:
            self._texts = texts_of(self.values, MOST_VALUES + 1, MOST_CHARACTERS)
        if len(self._texts) > MOST_VALUES or sum(map(len, self._texts)) > MOST_CHARACTERS:
            return TOO_MUCH[:cut]
        return "".join(_pieces(text[:cut], _covered(text, self._texts, self.shortest)))


def values_of(run: Run) -> Arguments:
    """The arguments of a run; the names of its parameters may be told. Of an encrypted job even the shortest
    is hidden."""
    known: Arguments | None = getattr(run, "hidden", None)
    given = (run.args, run.kwargs, run.secret)
    if not isinstance(known, _OfRun) or any(a is not b for a, b in zip(known.given, given, strict=True)):
        known = run.hidden = _OfRun(given)
    return known


class _OfRun(Arguments):
    def __init__(self, given: tuple[tuple[Any, ...], dict[str, Any], bool]) -> None:
        args, kwargs, secret = self.given = given
        super().__init__((*args, *kwargs.values()), 1 if secret else SHORTEST)


def to_hide(args: Collection[object], kwargs: Mapping[str, object], *, secret: bool) -> Arguments:
    """The same of arguments that belong to no run."""
    return Arguments((*args, *kwargs.values()), 1 if secret else SHORTEST)


def hide_values(text: str, values: "Collection[object] | Arguments", cut: int | None = None) -> str:
    """The first `cut` characters of the text without the values. Never raises."""
    return as_arguments(values).hide(text, cut)


def as_arguments(values: "Collection[object] | Arguments") -> Arguments:
    return values if isinstance(values, Arguments) else Arguments(values)


def quotes(text: str, value: object) -> bool:
    """Whether a text quotes a value, or all that it has between two of `:`, `/` and spaces is a short one.
    However large the value is."""
    texts = texts_of((value,), math.inf, math.inf)
    if any(_covered(text, texts, SHORTEST)):
        return True
    words = set(text.replace("/", " ").replace(":", " ").split())
    return not words.isdisjoint(one.strip() for one in texts if len(one) < SHORTEST)


def _covered(text: str, texts: Sequence[str], shortest: int) -> bytearray:
    """Which characters of the text are to be hidden: not 0."""
    told = list(readings(text))
    probe = _BETWEEN_READINGS.join(reading.plain for reading in told)
    covered = bytearray(len(text))
    long, short = _by_length(texts, shortest)
    for at in _windows_of(probe, long):
        _cover(covered, told, at, WINDOW)
    encoded = sum(len(reading.plain) + 1 for reading in told if not reading.code)
    for length, forms in short.items():
        # Of what could be a code by chance only the longer ones are looked for.
        end = len(probe) if length >= SHORTEST else encoded
        for at in range(end - length + 1):
            if probe[at : at + length] in forms:
                _cover(covered, told, at, length)
    return covered


def _cover(covered: bytearray, told: Sequence[Reading], at: int, length: int) -> None:
    for reading in told:
        if at < len(reading.plain):
            start, end = reading.starts[at], reading.ends[at + length - 1]
            covered[start:end] = b"x" * (end - start)
            return
        at -= len(reading.plain) + 1


def _pieces(text: str, covered: bytearray) -> Iterator[str]:
    # Marked first and replaced once: a value may stand within another one, or in "[argument]" itself.
    within = False
    for character, hidden in zip(text, covered, strict=False):
        if not hidden:
            yield character
        elif not within:
            yield HIDDEN
        within = bool(hidden)


def _by_length(texts: Sequence[str], shortest: int) -> tuple[list[str], dict[int, set[str]]]:
    """Values that are looked for by their windows, and whole ones by their length."""
    long: list[str] = []
    short: dict[int, set[str]] = {}
    for text in texts:
        bare = text.strip()
        if len(bare) < shortest:
            continue
        if len(text) >= WINDOW:
            long.append(text)
        for form in {text, bare} if len(bare) < WINDOW else ():
            if len(form) < WINDOW:
                short.setdefault(len(form), set()).add(form)
        if shortest < SHORTEST and len(text) < SHORTEST:
            for form in _codes_of(text):
                short.setdefault(len(form), set()).add(form)
    return long, short


def _codes_of(text: str) -> set[str]:
    # Too short to be looked for in what could be a code by chance.
    data = text.encode("utf-8", "replace")
    return {data.hex(), data.hex().upper(), b64encode(data).decode().rstrip("=")}


def _windows_of(probe: str, texts: Sequence[str]) -> Iterator[int]:
    """Where in the probe a window begins that is in one of the texts.

    A window holds eight characters of its text that begin at a multiple of four. Those of all texts are
    looked up as numbers, in C; the rest is looked at where one is known.
    """
    if not texts or len(probe) < WINDOW:
        return
    low = _low_bytes(probe)
    wanted: set[int] = set()
    for start in range(_GRAM):
        wanted.update(_grams(low, start))
    found: set[str] = set()
    for chunk in _chunks(texts):
        low = _low_bytes(chunk)
        for start in (0, _GRAM // 2):
            grams = _grams(low, start)
            if wanted.isdisjoint(grams):
                continue
            places = [start + _GRAM * at for at, gram in enumerate(grams) if gram in wanted]
            around = {chunk[max(0, at - WINDOW + _GRAM) : at + WINDOW] for at in places}
            found |= {text[at : at + WINDOW] for text in around for at in range(len(text) - WINDOW + 1)}
    if found:
        yield from (at for at in range(len(probe) - WINDOW + 1) if probe[at : at + WINDOW] in found)


def _low_bytes(text: str) -> bytes:
    """One byte of each character, which tells apart well enough where to look closer."""
    return text.encode() if text.isascii() else text.encode("utf-32-le", "surrogatepass")[::4]


def _grams(low: bytes, start: int) -> memoryview:
    return memoryview(low)[start : start + (len(low) - start) // _GRAM * _GRAM].cast("Q")


def _chunks(texts: Sequence[str]) -> Iterator[str]:
    """The texts joined to some of bounded length; a window of a text is whole in one of them."""
    waiting: list[str] = []
    size = 0
    for text in texts:
        for start in range(0, len(text), _CHUNK):
            part = text if len(text) <= _CHUNK else text[start : start + _CHUNK + WINDOW]
            waiting.append(part)
            size += len(part)
            if size >= _CHUNK:
                yield _BETWEEN_VALUES.join(waiting)
                waiting, size = [], 0
    if waiting:
        yield _BETWEEN_VALUES.join(waiting)
