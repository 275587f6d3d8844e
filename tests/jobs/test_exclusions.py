"""Days and windows of the day on which a plan does not fire, by the local clock."""

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from jobs.errors import InvalidSchedule
from jobs.times.calendar import Exclusions
from jobs.times.cron import Cron
from jobs.times.intervals import Every
from jobs.times.plan import MOST_SKIPS, Plan

BERLIN = "Europe/Berlin"
MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
SECOND, HOUR, DAY = (timedelta(seconds=seconds) for seconds in (1, 3_600, 86_400))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def ticks(plan: Plan, after: datetime, count: int) -> list[str]:
    """The next ticks by the clock of the plan's zone, as `06-01 09:00`."""
    zone = Cron.parse("* * * * *", plan.zone).tz
    return [
        f"{tick.astimezone(zone):%m-%d %H:%M}" for tick in plan.between(after, at("9999-01-01T00:00Z"), count)
    ]


def test_days_are_left_out_by_the_local_calendar() -> None:
    plan = Plan(
        Cron.parse("0 0 * * *", BERLIN),
        exclusions=Exclusions.parse(["2026-12-25", "2026-12-27/2027-01-02"]),
    )
    expected = ["12-24 00:00", "12-26 00:00", "01-03 00:00", "01-04 00:00"]
    assert ticks(plan, at("2026-12-23T12:00Z"), 4) == expected
    # 25 December in Berlin begins on the 24th by UTC.
    assert plan.exclusions.excludes(at("2026-12-24T23:00Z"), BERLIN)
    assert not plan.exclusions.excludes(at("2026-12-24T23:00Z"), "UTC")


def test_a_window_leaves_out_its_beginning_and_not_its_end() -> None:
    plan = Plan(Every(1_800), exclusions=Exclusions.parse(windows=[{"from": "09:00", "to": "10:00"}]))
    assert ticks(plan, MONDAY + 8 * HOUR, 3) == ["06-01 08:30", "06-01 10:00", "06-01 10:30"]


def test_a_window_over_midnight_belongs_to_the_day_that_it_begins_on() -> None:
    windows = [{"from": "22:00", "to": "06:00", "days": "fri"}]
    plan = Plan(Every(4 * 3_600), exclusions=Exclusions.parse(windows=windows))
    friday = MONDAY + 4 * DAY
    assert ticks(plan, friday + 15 * HOUR, 4) == [
        "06-05 16:00",
        "06-05 20:00",
        "06-06 08:00",
        "06-06 12:00",
    ]
    assert ticks(plan, friday - 3 * HOUR, 2) == ["06-05 00:00", "06-05 04:00"]


def test_whole_days_of_the_week_are_a_window_of_24_hours() -> None:
    windows = [{"from": "00:00", "to": "24:00", "days": "sat,sun"}]
    plan = Plan(Cron.parse("0 9 * * *"), exclusions=Exclusions.parse(windows=windows))
    assert ticks(plan, MONDAY + 3 * DAY, 4) == [
        "06-04 09:00",
        "06-05 09:00",
        "06-08 09:00",
        "06-09 09:00",
    ]


def test_a_window_is_left_out_in_both_passes_of_a_fold_and_not_what_lies_between() -> None:
    # 02:15 to 03:00 is left out; 02:00 to 02:14 comes twice and is not.
    plan = Plan(
        Cron.parse("*/15 * * * *", BERLIN),
        exclusions=Exclusions.parse(windows=[{"from": "02:15", "to": "03:00"}]),
    )
    found = plan.between(at("2026-10-24T23:50Z"), at("2026-10-25T02:15Z"), 99)
    assert found == [at(f"2026-10-25T0{text}Z") for text in ("0:00", "1:00", "2:00", "2:15")]
    assert plan.newest_between(at("2026-10-24T23:50Z"), at("2026-10-25T02:15Z"), 99) == found


def test_a_window_that_ends_within_a_fold_ends_twice() -> None:
    # Until 02:15 of the first pass, and from 02:00 until 02:15 of the second.
    plan = Plan(
        Cron.parse("*/15 * * * *", BERLIN),
        exclusions=Exclusions.parse(windows=[{"from": "01:30", "to": "02:15"}]),
    )
    first, last = at("2026-10-24T23:05Z"), at("2026-10-25T01:50Z")
    expected = [at(f"2026-10-{text}Z") for text in ("24T23:15", "25T00:15", "25T00:30", "25T00:45")]
    expected += [at(f"2026-10-25T{text}Z") for text in ("01:15", "01:30", "01:45")]
    assert plan.between(first, last, 99) == expected
    assert plan.newest_between(first, last, 99) == expected


def test_a_window_that_ends_in_the_gap_ends_with_the_gap() -> None:
    plan = Plan(
        Cron.parse("*/15 * * * *", BERLIN),
        exclusions=Exclusions.parse(windows=[{"from": "01:00", "to": "02:30"}]),
    )
    assert plan.next_after(at("2026-03-28T23:40Z")) == at("2026-03-28T23:45Z")
    assert plan.next_after(at("2026-03-28T23:45Z")) == at("2026-03-29T01:00Z")


def test_every_second_goes_over_a_long_window_at_once() -> None:
    windows = [{"from": "00:00", "to": "24:00", "days": "mon-sat"}]
    plan = Plan(Every(1), exclusions=Exclusions.parse(windows=windows))
    begun = time.thread_time()
    for second in range(100):
        assert plan.next_after(MONDAY + second * SECOND) == MONDAY + 6 * DAY
        assert plan.previous_before(MONDAY + second * SECOND) == MONDAY - SECOND
    assert time.thread_time() - begun < 0.2


def test_a_plan_that_is_always_excluded_has_no_tick_and_says_so_soon() -> None:
    plan = Plan(
        Cron.parse("0 23 * * *", BERLIN),
        exclusions=Exclusions.parse(windows=[{"from": "22:00", "to": "06:00"}]),
    )
    begun = time.thread_time()
    assert plan.next_after(MONDAY) is None
    assert plan.previous_before(MONDAY) is None
    assert time.thread_time() - begun < 0.5


def test_so_many_excluded_ticks_are_passed_over_and_no_more() -> None:
    # 1 January of each year, but for so many years.
    years = [f"{2027 + number}-01-01" for number in range(1_000)]
    plan = Plan(Cron.parse("@yearly"), exclusions=Exclusions.parse(years))
    assert plan.next_after(MONDAY) == datetime(3027, 1, 1, tzinfo=UTC)
    assert MOST_SKIPS > 1_000


def test_adjoining_and_overlapping_dates_are_one_stretch() -> None:
    merged = Exclusions.parse(["2026-12-26", "2026-12-24/2026-12-25", "2026-12-25/2026-12-28", "2027-01-01"])
    assert merged.dates == (
        (date(2026, 12, 24), date(2026, 12, 28)),
        (date(2027, 1, 1), date(2027, 1, 1)),
    )


@given(
    step=st.sampled_from([60, 420, 900, 1_500]),
    windows=st.lists(
        st.tuples(st.integers(0, 1_439), st.integers(1, 1_440), st.sets(st.integers(0, 6), min_size=1)),
        max_size=3,
    ),
    dates=st.lists(st.integers(0, 6), max_size=2),
    zone=st.sampled_from([BERLIN, "Australia/Lord_Howe", "America/Sao_Paulo", "UTC"]),
    day=st.sampled_from(["2026-03-28", "2026-10-24", "2018-11-03", "2019-02-16", "2026-04-04", "2026-10-03"]),
)
@settings(deadline=None, max_examples=75, suppress_health_check=[HealthCheck.too_slow])
def test_ticks_are_those_of_the_timing_that_are_not_excluded(
    step: int, windows: list[tuple[int, int, set[int]]], dates: list[int], zone: str, day: str
) -> None:
    first = at(f"{day}T00:00Z")
    tables = [
        {
            "from": f"{a // 60:02}:{a % 60:02}",
            "to": f"{b // 60:02}:{b % 60:02}",
            "days": ",".join(map(str, days)),
        }
        for a, b, days in windows
        if a != b
    ]
    try:
        exclusions = Exclusions.parse([f"{(first + n * DAY).date()}" for n in dates], tables)
    except InvalidSchedule:
        assume(False)
        raise
    plan = Plan(Every(step), zone=zone, exclusions=exclusions)
    until = first + 2 * DAY
    timing = Plan(Every(step)).between(first, until, 10_000)
    expected = [tick for tick in timing if not exclusions.excludes(tick, zone)]
    assert plan.between(first, until, 10_000) == expected
    assert plan.newest_between(first, until, 10_000) == expected


@pytest.mark.parametrize(
    ("dates", "windows", "said"),
    [
        (["25.12.2026"], [], "exclude.dates '25.12.2026' must be a day such as '2026-12-25'"),
        (["2026-02-30"], [], "exclude.dates '2026-02-30' must be a day"),
        (["2026-12-25/2026-12-24"], [], "ends before it begins"),
        ("2026-12-25", [], "exclude.dates must be a list"),
        (["2026-12-25"] * 1_001, [], "at most 1000 entries, and has 1001"),
        (
            [],
            [{"from": "9", "to": "10:00"}],
            "exclude.windows.from '9' must be a time from '00:00' to '24:00'",
        ),
        ([], [{"from": "09:00", "to": "24:01"}], "exclude.windows.to '24:01' must be a time"),
        ([], [{"from": "09:00", "to": "09:00"}], "has no length: for whole days, give 00:00 to 24:00"),
        ([], [{"from": "09:00"}], "must have tables with from, to and perhaps days"),
        (
            [],
            [{"from": "9:00", "to": "10:00", "day": "mon"}],
            "must have tables with from, to and perhaps days",
        ),
        ([], [{"from": "9:00", "to": "10:00", "days": "mon#1"}], "must be days of each week here"),
        (
            [],
            [{"from": "9:00", "to": "10:00", "days": "moon"}],
            "exclude.windows.days: day of week 'moon'",
        ),
        (
            [],
            [{"from": "06:00", "to": "18:00"}, {"from": "18:00", "to": "06:00"}],
            "leave no time in the week",
        ),
        ([], [{"from": "00:00", "to": "24:00", "days": "0-6"}], "leave no time in the week"),
    ],
)
def test_wrong_ones_are_refused(dates: Any, windows: Any, said: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        Exclusions.parse(dates, windows)
    assert said in str(refused.value)
