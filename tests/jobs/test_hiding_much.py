"""How arguments are taken out of a text when there are many of them, and how often that is done."""

import json
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import hiding
from jobs.failures import describe, type_name
from jobs.hiding import (
    HIDDEN,
    MOST_CHARACTERS,
    MOST_VALUES,
    TOO_MUCH,
    WINDOW,
    Arguments,
    hide_values,
    quotes,
    values_of,
)

MESSAGE = "50% of a+b failed: \\n " * 60


@dataclass
class Run:
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    secret: bool = False
    hidden: Arguments | None = None


def covered(text: str, values: Collection[str]) -> str:
    """By the definition: each value of four characters and more, and twelve of a longer one in a row."""
    hidden = [False] * len(text)
    for value in values:
        size = min(len(value), WINDOW)
        parts = {value[at : at + size] for at in range(len(value) - size + 1)} if len(value) >= 4 else ()
        for part in parts:
            for at in range(len(text) - size + 1):
                if text[at : at + size] == part:
                    hidden[at : at + size] = [True] * size
    told = "".join("\0" if cut else one for one, cut in zip(text, hidden, strict=True))
    while "\0\0" in told:
        told = told.replace("\0\0", "\0")
    return told.replace("\0", HIDDEN)


@given(
    st.lists(st.text("xyé中😀", max_size=60).map(str.strip), max_size=4),
    st.text("xyé中😀", max_size=40),
    st.data(),
)
def test_what_is_hidden_is_what_the_definition_says(
    values: list[str], more: str, data: st.DataObject
) -> None:
    quoted = []
    for value in values:
        start = data.draw(st.integers(0, len(value)))
        quoted.append(value[start : start + data.draw(st.integers(0, 30))])
    text = f"{more}!".join(["no ", *quoted, more])
    assert hide_values(text, values) == covered(text, values)


def test_a_value_is_found_wherever_it_lies_among_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hiding, "_CHUNK", 100)
    value = "".join(chr(0x4E00 + at) for at in range(400))
    for values in ([value], [value[at : at + 30] for at in range(0, 400, 30)]):
        for at in range(0, 380, 7):
            part = value[at : at + WINDOW]
            hidden = any(part in one for one in values)
            assert (hide_values(f"no {part}!", values) == f"no {HIDDEN}!") is hidden


@pytest.mark.parametrize("character", ["é", "😀", "\n", '"', "\\", "\x00"])
def test_a_value_that_is_escaped_or_quoted_is_known(character: str) -> None:
    value = f"hunter {character} two"
    forms = {repr(value)[1:-1], ascii(value)[1:-1], json.dumps(value)[1:-1], quote(value), quote_plus(value)}
    for form in forms:
        assert hide_values(f"no <{form}>", [value]) == f"no <{HIDDEN}>", form


def test_the_bytes_of_a_text_are_known_as_python_writes_them() -> None:
    assert hide_values(f"no {'Straße 12'.encode()!r}", ["Straße 12"]) == f"no b'{HIDDEN}'"


@pytest.mark.parametrize("values", [1, 100, 20_000])
def test_a_megabyte_of_arguments_costs_milliseconds(values: int) -> None:
    text = "".join(map(chr, range(33, 233)))
    each = [(text * 6_000)[at : at + 1_000_000 // values] for at in range(values)]
    began = time.thread_time()
    describe(ValueError(MESSAGE), Arguments([each]))
    assert time.thread_time() - began < 0.2  # 15 ms here; a loop in Python takes seconds


def test_beyond_a_bound_nothing_of_the_text_is_told() -> None:
    for values in (["x" * (MOST_CHARACTERS + 1)], list(range(MOST_VALUES + 1))):
        began = time.thread_time()
        assert describe(ValueError("no hunter2"), [values]).message == TOO_MUCH
        assert time.thread_time() - began < 1
    assert describe(ValueError("no hunter2"), [["x" * MOST_CHARACTERS]]).message == "no hunter2"


def test_a_list_that_holds_itself_has_an_end() -> None:
    endless: list[Any] = ["hunter2"]
    endless.append(endless)
    assert hide_values("no hunter2", [endless]) == f"no {HIDDEN}"


def test_the_values_of_a_run_are_looked_for_once_for_each_text(monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[str] = []
    search = hiding._covered

    def counted(text: str, texts: Any, shortest: int) -> bytearray:
        searches.append(text)
        return search(text, texts, shortest)

    monkeypatch.setattr(hiding, "_covered", counted)
    run = Run(("hunter2",), {})
    for _ in range(6):  # its record, its row, two log lines, a callback, Sentry
        assert describe(ValueError("no hunter2"), values_of(run)).message == f"no {HIDDEN}"
    assert searches == ["no hunter2"]
    run.args = ("letmein",)  # as the actor takes them
    assert describe(ValueError("no hunter2 letmein"), values_of(run)).message == f"no hunter2 {HIDDEN}"


def test_a_name_quotes_a_value_also_a_short_one_that_is_a_part_of_its_own() -> None:
    assert quotes("gmail:ada@example.org", "ada@example.org")
    assert quotes("gmail:7", 7)
    assert quotes("gmail:acct/ab", ["ab"])
    assert not quotes("gmail:77", 7)
    assert not quotes("gmail:acct-7", "ai")
    assert quotes("gmail:hunter2", ["x" * MOST_CHARACTERS, "hunter2"])


# The name of an exception's class


class Declared(Exception):
    class Within(Exception):
        pass


def test_a_class_that_is_made_at_run_time_does_not_tell_a_value_by_its_name() -> None:
    class Here(ValueError):
        pass

    card = "4111111111111111"
    made = type(f"Refused_{card}", (type(f"No{card[:12]}", (Here,), {}),), {})
    failure = describe(made("x"), [card])
    assert (failure.type, failure.message) == ("Here", "x")
    assert card not in describe(made(), [card]).message
    assert failure.fingerprint == describe(Here("x")).fingerprint
    assert type_name(made("x")) == f"Refused_{card}"  # there is nothing to hide


@pytest.mark.parametrize("kind", [KeyError, Declared, Declared.Within])
def test_a_class_that_is_written_down_keeps_its_name(kind: type[Exception]) -> None:
    for values in (["Error", "Declared", "Within"], Arguments(["e"], 1)):
        assert type_name(kind(), values) == kind.__name__
