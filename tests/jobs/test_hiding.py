"""How arguments are taken out of a text."""

import json
from base64 import b64encode, urlsafe_b64encode
from collections import namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from urllib.parse import quote, quote_plus
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, SecretStr

from jobs.failures import MAX_MESSAGE, describe
from jobs.hiding import HIDDEN, hide_values, to_hide


class Colour(Enum):
    RED = "crimson"


@dataclass(slots=True)
class Card:
    number: str


class Login(BaseModel):
    model_config = ConfigDict(extra="allow")
    password: SecretStr


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("hunter2", "hunter2"),
        ("  hunter2\n", "hunter2"),
        ("a\tb\tc", repr("a\tb\tc")[1:-1]),
        ("Größe", json.dumps("Größe")[1:-1]),
        ("half \ud83d", "half ?"),
        (b"hunter2", "hunter2"),
        (b"\xff\xfe\xfd", "\\xff\\xfe\\xfd"),
        (12345, "12345"),
        (-1.25, "-1.25"),
        (Decimal("12.50"), "12.50"),
        (UUID(int=7), str(UUID(int=7))),
        (date(1815, 12, 10), "1815-12-10"),
        (datetime(1815, 12, 10, 1, 2, tzinfo=UTC), "1815-12-10T01:02:00+00:00"),
        (PurePosixPath("/home/ada"), "/home/ada"),
        (Colour.RED, "crimson"),
        ([["hunter2"]], "hunter2"),
        ({"key": {"hunter2"}}, "hunter2"),
        ({"hunter2": 1}, "hunter2"),
        (Point("hunter2", 1), "hunter2"),
        (Card("hunter2"), "hunter2"),
        (Login(password=SecretStr("hunter2")), "hunter2"),
        (Login.model_validate({"password": "x", "more": "hunter2"}), "hunter2"),
    ],
)
def test_values_are_found_wherever_they_are_and_however_they_are_quoted(value: object, quoted: str) -> None:
    assert hide_values(f"no {quoted}!", [value]) == f"no {HIDDEN}!"


@pytest.mark.parametrize("value", [None, True, "", "abc", "    ", 999, object])
def test_what_may_stand_in_any_sentence_stays(value: object) -> None:
    text = "None of abc    is True at 999"
    assert hide_values(text, [value]) == text


SECRET = "hunter2 4111/ö?"


@pytest.mark.parametrize(
    "code",
    [
        b64encode(SECRET.encode()).decode(),
        urlsafe_b64encode(f"ada:{SECRET}".encode()).decode(),  # as a header of basic authentication
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        quote_plus(SECRET, safe="/"),
    ],
)
def test_a_value_that_is_encoded_is_known(code: str) -> None:
    for text in (f"Basic {code} refused", f"GET https://example.com/x?key={code}&n=1", f"key={code}"):
        hidden = hide_values(text, [SECRET])
        assert code.rstrip("=") not in hidden
        assert hidden.replace("=", "") == text.replace(code, HIDDEN).replace("=", "")


def test_other_codes_and_addresses_stay() -> None:
    text = "GET https://example.com/a%20b/c+d?id=8f14e45fceea167a5a36dedd4bea2543 of bWlsZXN0b25lcw=="
    assert hide_values(text, [SECRET, "hunter2"]) == text


@pytest.mark.parametrize("short", ["7", "123", "a b"])
def test_of_an_encrypted_job_even_the_shortest_value_is_hidden(short: str) -> None:
    data = short.encode()
    text = f"pin {short} / {data.hex()} / {b64encode(data).decode()} is wrong"
    hidden = hide_values(text, to_hide([short], {}, secret=True))
    for form in (short, data.hex(), b64encode(data).decode().rstrip("=")):
        assert form not in hidden
    assert hidden.startswith("pin ")
    assert hide_values(text, to_hide([short], {}, secret=False)) == text


def test_a_value_within_another_leaves_no_rest_of_it() -> None:
    assert hide_values("got secret-token!", ["secret", "secret-token", "argument"]) == f"got {HIDDEN}!"


def test_a_shortened_quotation_is_known_by_its_parts() -> None:
    value = "the quick brown fox jumps over the lazy dog"
    assert hide_values(f"bad: {value[:15]}...{value[-15:]}", [value]) == f"bad: {HIDDEN}...{HIDDEN}"


def test_of_a_very_long_value_every_part_is_known() -> None:
    value = "".join(map(str, range(30_000)))
    assert hide_values(f"bad: {value}", [value], cut=500) == f"bad: {HIDDEN}"
    assert hide_values(f"bad: {value[-500:]}", [value]) == f"bad: {HIDDEN}"


def test_a_value_across_the_cut_is_hidden_too() -> None:
    # Hiding makes the text shorter, so that its end comes into what is kept.
    for length in (4, 5, 8, 11, 12, 13, 20, 39):  # around what is hidden at all, and what is known in part
        secret = "s3cr3t-" * 6
        for place in range(1980, 2010):
            text = ("filler-text-0123 " * 200)[:place] + secret[:length]
            kept = describe(ValueError(text), [secret[:length], "filler-text-0123"]).message
            assert "s3cr" not in kept
            assert len(kept) <= MAX_MESSAGE


@given(st.lists(st.text("aeiou#[]", max_size=30), max_size=8))
def test_exactly_the_values_of_four_characters_and_more_are_hidden(values: list[str]) -> None:
    expected = "|".join(HIDDEN if len(value) >= 4 else value for value in values)
    assert hide_values("|".join(values), values) == expected


def test_a_value_that_cannot_be_written_does_not_keep_the_job_from_being_settled() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    assert hide_values("no hunter2", [Broken(), "hunter2"]) == f"no {HIDDEN}"
