"""Durations and rates as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings import Rate, parse_ms, parse_rate, parse_seconds


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        (0, 0),
        (1500, 1_500),
        ("1500", 1_500),
        ("250ms", 250),
        ("5s", 5_000),
        ("0.5 s", 500),
        ("2min", 120_000),
        ("2 Minutes", 120_000),
        ("3m", 180_000),
        ("12h", 43_200_000),
        ("30 days", 2_592_000_000),
        ("1w", 604_800_000),
    ],
)
def test_a_duration_is_a_number_or_a_number_with_a_unit(text, ms):
    assert parse_ms(text) == ms


def test_a_bare_number_is_in_the_unit_of_its_key():
    assert parse_seconds(15) == 15
    assert parse_seconds("15") == 15
    assert parse_seconds("2min") == 120


@pytest.mark.parametrize(
    "wrong",
    ["", "s", "5 parsecs", "-5s", "1h30m", "٥s", -1, True, None, [], float("nan"), float("inf"), 10**30],
)
def test_anything_else_is_no_duration(wrong):
    for parse in (parse_ms, parse_seconds):
        with pytest.raises(ValueError, match="must be a duration such as"):
            parse(wrong)


@given(st.integers(0, 10_000), st.sampled_from([("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000)]))
def test_every_unit_counts_its_milliseconds(number, unit):
    name, ms = unit
    assert parse_ms(f"{number}{name}") == parse_ms(f" {number} {name.upper()} ") == number * ms
    assert parse_seconds(f"{number}{name}") == number * ms / 1_000


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10/s", Rate(10, 1)),
        ("100/min", Rate(100, 60)),
        ("1000 / minute", Rate(1_000, 60)),
        ("5/10s", Rate(5, 10)),
        ("3/500ms", Rate(3, 0.5)),
        ("7/day", Rate(7, 86_400)),
        ("none", None),
        ("off", None),
        ("", None),
        (None, None),
        (Rate(1, 2), Rate(1, 2)),
    ],
)
def test_a_rate_is_a_count_in_a_time(text, rate):
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "wrong", ["10", "10 per s", "/s", "10/", "0/s", "5/0s", "-1/s", 10, True, {"count": 1}]
)
def test_anything_else_is_no_rate(wrong):
    with pytest.raises(ValueError, match=r"^must "):
        parse_rate(wrong)


def test_a_rate_has_a_shortest_time_and_a_most_of_starts_because_each_start_is_kept():
    assert parse_rate("100000/ms") == Rate(100_000, 0.001)
    with pytest.raises(ValueError, match="at most 100000 starts; give a shorter time"):
        parse_rate("100001/min")
    with pytest.raises(ValueError, match="in at least a millisecond"):
        parse_rate("1/0.5ms")


@given(st.integers(1, 100_000), st.sampled_from([0.25, 1, 10, 60, 90, 3_600, 86_400]))
def test_a_rate_reads_back_as_it_is_shown(count, seconds):
    assert parse_rate(str(Rate(count, seconds))) == Rate(count, seconds)


@given(st.text(max_size=20))
def test_no_text_breaks_the_parsers(text):
    for parse in (parse_ms, parse_seconds, parse_rate):
        try:
            parse(text)
        except ValueError as error:
            assert str(error).startswith("must ")  # noqa: PT017
