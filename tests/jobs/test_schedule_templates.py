"""Texts in a schedule's arguments that name the tick."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import InvalidSchedule
from jobs.schedules import Schedule, arguments, check_templates, filled, previous_of
from jobs.times.cron import Cron
from jobs.times.intervals import Every, Once
from jobs.times.plan import Plan

TICK = datetime(2026, 3, 29, 1, tzinfo=UTC)
BEFORE = datetime(2026, 3, 28, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nothing", "nothing"),
        ("{tick}", "2026-03-29T01:00:00Z"),
        ("{previous_tick}/{tick}", "2026-03-28T01:30:00Z/2026-03-29T01:00:00Z"),
        ("report of {schedule}", "report of nightly"),
        ('{{"tick": "{tick}"}}', '{"tick": "2026-03-29T01:00:00Z"}'),
        ("{{tick}}", "{tick}"),
        ("{{{tick}}}", "{2026-03-29T01:00:00Z}"),
    ],
)
def test_a_text_is_filled(text: str, expected: str) -> None:
    assert filled(text, TICK, BEFORE, "nightly") == expected


def test_texts_are_filled_at_any_depth_and_nothing_else_is_changed() -> None:
    value = {"a": [1, None, True, {"{tick}": ("{tick}", 2.5)}]}
    assert filled(value, TICK, BEFORE, "nightly") == {
        "a": [1, None, True, {"{tick}": ["2026-03-29T01:00:00Z", 2.5]}]
    }
    assert value == {"a": [1, None, True, {"{tick}": ("{tick}", 2.5)}]}


@pytest.mark.parametrize(
    "text", ["{tik}", "{}", "{ tick }", "{tick.year}", "{tick!r}", "{", "}", "a } b", "{tick"]
)
@pytest.mark.parametrize("wrap", [lambda text: text, lambda text: {"a": [text]}])
def test_an_unknown_one_and_a_lone_brace_are_refused(text: str, wrap: Any) -> None:
    with pytest.raises(InvalidSchedule, match=r"are filled: write .. and .. for braces"):
        check_templates(wrap(text))
    with pytest.raises(InvalidSchedule):
        filled(wrap(text), TICK, BEFORE, "nightly")


def test_which_ones_are_used_is_known() -> None:
    assert check_templates({"a": ["{tick}{tick}"], "b": "{{schedule}}"}) == {"tick"}


@given(st.text())
def test_a_text_with_doubled_braces_comes_back_as_it_was(text: str) -> None:
    assert filled(text.replace("{", "{{").replace("}", "}}"), TICK, BEFORE, "nightly") == text


def test_arguments_that_are_nested_too_deep_are_refused() -> None:
    deep: Any = "x"
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(InvalidSchedule, match="nested deeper than 30"):
        check_templates(deep)


class TestOfASchedule:
    def test_the_previous_tick_is_that_of_the_plan(self) -> None:
        daily = Schedule(
            "nightly", "a", Plan(Cron.parse("30 2 * * *", "Europe/Berlin")), {"since": "{previous_tick}"}
        )
        assert arguments(daily, TICK) == {"since": "2026-03-28T01:30:00Z"}

    def test_before_the_first_one_it_is_what_would_have_been_it(self) -> None:
        plan = Plan(Every(3_600), start=TICK)
        schedule = Schedule("nightly", "a", plan, {"since": "{previous_tick}"})
        assert plan.previous_before(TICK) is None
        assert previous_of(schedule, TICK) == TICK - timedelta(hours=1)
        assert arguments(schedule, TICK) == {"since": "2026-03-29T00:00:00Z"}

    def test_a_schedule_with_one_tick_has_none(self) -> None:
        assert previous_of(Schedule("a", "b", Plan(Once(TICK))), TICK) is None
        with pytest.raises(InvalidSchedule, match="a schedule with `at` has one tick only"):
            Schedule("a", "b", Plan(Once(TICK)), {"since": "{previous_tick}"})
        with pytest.raises(InvalidSchedule, match="this tick has none before it"):
            filled("{previous_tick}", TICK, None, "a")

    def test_a_wrong_template_is_found_when_the_schedule_is_made(self) -> None:
        with pytest.raises(InvalidSchedule, match="tik"):
            Schedule("a", "b", Plan(Every(60)), {"since": "{tik}"})
