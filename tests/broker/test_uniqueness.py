"""What makes two jobs the same, and that their key tells nothing of them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.uniqueness import Uniqueness, arguments_by_name, check_parameters, check_unique, digest
from jobs.errors import InvalidPayload
from jobs.model import UniqueMode


def sync(account_id: str, since: date | None = None, *, full: bool = False) -> None: ...


def key_of(unique: Uniqueness, *args: Any, **kwargs: Any) -> str:
    return unique.of("sync", lambda: arguments_by_name(sync, args, kwargs)).key


def test_without_more_words_all_arguments_count_however_they_are_given() -> None:
    whole = Uniqueness()
    same = {
        key_of(whole, "a1"),
        key_of(whole, account_id="a1"),
        key_of(whole, "a1", None),
        key_of(whole, full=False, since=None, account_id="a1"),
    }
    assert len(same) == 1
    assert key_of(whole, "a1", full=True) not in same


def test_by_names_the_parameters_that_count() -> None:
    by = Uniqueness(by=("account_id",))
    assert key_of(by, "a1") == key_of(by, account_id="a1", full=True)
    assert key_of(by, "a1") != key_of(by, "a2")
    assert key_of(Uniqueness(by=("account_id", "full")), "a1") == key_of(
        Uniqueness(by=("full", "account_id")), "a1"
    )


def test_a_key_of_the_callers_does_not_look_at_the_arguments() -> None:
    def not_asked() -> dict[str, Any]:
        raise AssertionError

    assert Uniqueness("inbox").of("sync", not_asked).key == Uniqueness("inbox").of("sync", not_asked).key
    assert Uniqueness("inbox").of("sync", not_asked).key != Uniqueness("outbox").of("sync", not_asked).key


def test_mode_and_time_go_with_the_key() -> None:
    unique = Uniqueness("inbox", mode=UniqueMode.THROTTLE, ttl_ms=60_000).of("sync", dict)
    assert (unique.mode, unique.ttl_ms) == (UniqueMode.THROTTLE, 60_000)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"x": {"p": 1, "q": [1]}}, {"x": {"q": [1], "p": 1}}),
        ({"x": {3, 1, 2}}, {"x": {1, 2, 3}}),
        ({"x": date(2026, 3, 1)}, {"x": "2026-03-01"}),
        ({"x": Decimal("1.10")}, {"x": "1.10"}),
        ({"x": datetime(2026, 3, 1, tzinfo=UTC)}, {"x": "2026-03-01T00:00:00+00:00"}),
        ({"x": (1, 2)}, {"x": [1, 2]}),
    ],
)
def test_what_is_the_same_in_json_has_one_key(one: object, other: object) -> None:
    assert digest(one) == digest(other)


@given(one=st.text(st.characters(exclude_categories=["Cs"])), other=st.integers(-(2**63), 2**63 - 1))
def test_a_key_is_32_hex_digits_and_holds_no_value(one: str, other: int) -> None:
    key = digest({"name": one, "number": other})
    assert len(key) == 32
    assert set(key) <= set("0123456789abcdef")
    assert digest({"name": one, "number": other + 1}) != key


def test_what_json_cannot_say_cannot_count_and_is_not_quoted() -> None:
    for unique in (Uniqueness(), Uniqueness("half a pair \ud83d")):
        with pytest.raises(
            InvalidPayload, match=r"^sync: unique counts a value that has no JSON form"
        ) as told:
            unique.of("sync", lambda: {"account_id": object()})
        assert "object" not in str(told.value)


def test_arguments_that_do_not_fit_are_refused_here_too() -> None:
    with pytest.raises(InvalidPayload, match=r"^unique: missing a required argument: 'account_id'"):
        arguments_by_name(sync, (), {})


def test_by_may_only_name_what_is_there() -> None:
    check_parameters(Uniqueness(by=("since",)), sync)
    check_parameters(Uniqueness("key"), sync)
    check_parameters(None, sync)
    with pytest.raises(InvalidPayload, match=r"unique\.by names .account.; there are account_id, since"):
        check_parameters(Uniqueness(by=("account",)), sync)


@pytest.mark.parametrize(
    ("option", "meant"),
    [
        (True, Uniqueness()),
        (False, None),
        ({}, Uniqueness()),
        ({"mode": "debounce"}, Uniqueness(mode=UniqueMode.DEBOUNCE)),
        ({"key": "k", "ttl": 5}, Uniqueness("k", ttl_ms=5)),
        ({"by": ("a",), "mode": UniqueMode.LATEST}, Uniqueness(by=("a",), mode=UniqueMode.LATEST)),
        ({"by": ["a", "b"], "mode": "until_started"}, Uniqueness(None, ("a", "b"), UniqueMode.UNTIL_STARTED)),
    ],
)
def test_the_option_may_be_short_or_say_everything(option: object, meant: Uniqueness | None) -> None:
    assert check_unique(option) == meant


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("yes", "unique must be True, False or a table"),
        ({"mod": "latest"}, "unique must be True, False or a table of key or by, mode and ttl"),
        ({"key": "k", "by": ["a"]}, "unique takes key or by, not both"),
        ({"key": ""}, "unique.key must be a text of 1 to 1000 characters"),
        ({"key": 7}, "unique.key must be a text"),
        ({"by": "account_id"}, "unique.by must be a list of parameters"),
        ({"by": []}, "unique.by must be a list of parameters"),
        ({"by": [7]}, "unique.by must be a list of parameters"),
        (
            {"mode": "once"},
            "unique.mode must be one of until_started, until_finished, throttle, debounce, lat",
        ),
        ({"mode": []}, "unique.mode must be one of"),
        ({"mode": "throttle"}, "unique.ttl must be given with mode throttle"),
        ({"ttl": "1min"}, "unique.ttl must be a whole number of milliseconds"),
        ({"ttl": -1}, "unique.ttl must be a whole number of milliseconds"),
        ({"ttl": True}, "unique.ttl must be a whole number of milliseconds"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_to_give(option: object, words: str) -> None:
    with pytest.raises(InvalidPayload) as refused:
        check_unique(option)
    assert str(refused.value).startswith(words)
