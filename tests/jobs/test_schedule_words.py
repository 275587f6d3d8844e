"""Each spec is told back in plain English: what it does, and not how it was written."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.errors import InvalidSchedule
from jobs.times.calendar import Exclusions
from jobs.times.cron import Cron
from jobs.times.intervals import Every, Once
from jobs.times.plan import Plan
from jobs.times.words import in_words


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("* * * * *", "every minute"),
        ("*/15 * * * *", "every 15 minutes"),
        ("0-59/20 * * * *", "every 20 minutes"),
        # Not even over the hour, so not "every 7 minutes".
        ("*/7 * * * *", "at minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56 of every hour"),
        ("0 * * * *", "every hour"),
        ("@hourly", "every hour"),
        ("5 * * * *", "at minute 5 of every hour"),
        ("15,45 * * * *", "at minutes 15 and 45 of every hour"),
        ("0-10,30 * * * *", "at minutes 0 to 10 and 30 of every hour"),
        ("0 9 * * *", "at 09:00 every day"),
        ("@daily", "at 00:00 every day"),
        ("0,30 9,17 * * *", "at 09:00, 09:30, 17:00 and 17:30 every day"),
        ("0 */6 * * *", "at 00:00, 06:00, 12:00 and 18:00 every day"),
        ("30 */2 * * *", "every 2 hours from 00:30 to 22:30"),
        ("0 0-18/3 * * *", "every 3 hours from 00:00 to 18:00"),
        ("0 9-17 * * *", "every hour from 09:00 to 17:00"),
        ("*/15 9-17 * * mon-fri", "every 15 minutes from 09:00 to 17:45, Monday to Friday"),
        ("*/5 9 * * *", "every 5 minutes from 09:00 to 09:55"),
        ("0-20 9 * * *", "every minute from 09:00 to 09:20"),
        ("8-56/6 9-17 * * *", "at minutes 8, 14, 20, 26, 32, 38, 44, 50 and 56 of the hours 9 to 17"),
        ("* 9-10 * * *", "every minute from 09:00 to 10:59"),
        ("*/15 22,23,0,1 * * *", "every 15 minutes in the hours 0, 1, 22 and 23"),
        ("0-10,30 9-17 * * *", "at minutes 0 to 10 and 30 of the hours 9 to 17"),
        ("7 1,2,3,5,8,13,21 * * *", "at minute 7 of the hours 1 to 3, 5, 8, 13 and 21"),
    ],
)
def test_times_of_a_day(spec: str, words: str) -> None:
    assert in_words(Plan(Cron.parse(spec))) == words


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("0 9 * * 1-5", "at 09:00, Monday to Friday"),
        ("0 9 * * fri-sun", "at 09:00, Friday to Sunday"),
        ("0 9 * * mon", "at 09:00 on Monday"),
        ("@weekly", "at 00:00 on Sunday"),
        ("0 9 * * 0,6", "at 09:00 on Saturday and Sunday"),
        ("0 9 * * 0-6", "at 09:00 every day"),
        ("30 2 L * *", "at 02:30 on the last day of the month"),
        ("0 0 L,15 * *", "at 00:00 on day 15 and the last day of the month"),
        ("0 0 1,15 * *", "at 00:00 on days 1 and 15 of the month"),
        ("0 0 1-7 * *", "at 00:00 on days 1 to 7 of the month"),
        ("0 0 * * 5L", "at 00:00 on the last Friday of the month"),
        ("0 0 * * mon#1,wed#3", "at 00:00 on the first Monday and the third Wednesday of the month"),
        ("0 0 * * fri#2,mon", "at 00:00 on Monday and the second Friday of the month"),
        ("0 0 * * 1,1#1", "at 00:00 on Monday"),
        # Either is enough; a star at the beginning makes it both.
        ("0 0 1 * mon", "at 00:00 on day 1 of the month or on Monday"),
        ("0 0 1 * mon-fri", "at 00:00 on day 1 of the month or on a day from Monday to Friday"),
        ("0 0 1 * 5L", "at 00:00 on day 1 of the month or on the last Friday of the month"),
        (
            "0 0 15 * */2",
            "at 00:00 on day 15 of the month, only if it is Tuesday, Thursday, Saturday or Sunday",
        ),
        ("0 0 */10 * fri", "at 00:00 on days 1, 11, 21 and 31 of the month, only if it is Friday"),
        # What is true every day is said so, whatever else is written.
        ("0 0 1-31 * mon", "at 00:00 every day"),
        ("0 0 1 * 0-6", "at 00:00 every day"),
    ],
)
def test_days(spec: str, words: str) -> None:
    assert in_words(Plan(Cron.parse(spec))) == words


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("@yearly", "at 00:00 on day 1 of January"),
        ("0 0 1 */3 *", "at 00:00 on day 1 of January, April, July and October"),
        ("0 0 1 jan-mar *", "at 00:00 on day 1 of each month from January to March"),
        ("0 0 L 2 *", "at 00:00 on the last day of February"),
        ("0 0 * feb 5L", "at 00:00 on the last Friday of February"),
        ("0 9 * jan mon", "at 09:00 on Monday in January"),
        ("0 9 * jan,jul mon-fri", "at 09:00, Monday to Friday, in January and July"),
        ("0 9 * jan-mar *", "at 09:00 every day, from January to March"),
        ("*/15 * * jan *", "every 15 minutes in January"),
        ("0 0 1 jan mon", "at 00:00 on day 1 of the month or on Monday, in January"),
        ("0 0 1 6-8 mon", "at 00:00 on day 1 of the month or on Monday, from June to August"),
        # Days that no named month has are not said.
        ("0 0 */5 feb *", "at 00:00 on days 1, 6, 11, 16, 21 and 26 of February"),
    ],
)
def test_months(spec: str, words: str) -> None:
    assert in_words(Plan(Cron.parse(spec))) == words


def test_the_zone_is_named_when_it_is_not_utc() -> None:
    assert in_words(Plan(Cron.parse("0 9 * * mon-fri", "Europe/Berlin"))) == (
        "at 09:00, Monday to Friday, Europe/Berlin"
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "every second"),
        (90, "every 90 seconds"),
        (60, "every minute"),
        (300, "every 5 minutes"),
        (7_200, "every 2 hours"),
        (86_400, "every day at 00:00 UTC"),
        (7 * 86_400, "every 7 days at 00:00 UTC"),
    ],
)
def test_intervals(seconds: int, words: str) -> None:
    assert in_words(Plan(Every(seconds))) == words


def test_a_moment_is_told_by_the_clock_of_the_zone() -> None:
    moment = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert in_words(Plan(Once(moment))) == "once, at 2026-10-25 01:30 UTC"
    assert in_words(Plan(Once(moment), zone="Europe/Berlin")) == (
        "once, at 2026-10-25 02:30 Europe/Berlin (the second time that the clock shows it)"
    )


def test_what_bounds_a_plan_follows() -> None:
    windows = [{"from": "22:00", "to": "06:00", "days": "mon-fri"}, {"from": "12:00", "to": "13:00"}]
    plan = Plan(
        Every(300),
        zone="Europe/Berlin",
        exclusions=Exclusions.parse(["2026-12-25", "2026-12-27/2027-01-02"], windows),
        start=datetime(2026, 6, 1, tzinfo=UTC),
        end=datetime(2027, 6, 1, 12, 0, 30, tzinfo=UTC),
        jitter_s=60,
    )
    assert in_words(plan) == (
        "every 5 minutes; from 2026-06-01 02:00 Europe/Berlin; until 2027-06-01 14:00:30 Europe/Berlin; "
        "not on 2026-12-25 or 2026-12-27 to 2027-01-02; not from 12:00 to 13:00; "
        "not from 22:00 to 06:00, Monday to Friday (Europe/Berlin); each up to 1 minute later"
    )


def test_many_dates_are_counted() -> None:
    dates = [f"2026-{month:02}-01" for month in range(1, 13)]
    assert in_words(Plan(Cron.parse("@daily"), exclusions=Exclusions.parse(dates))) == (
        "at 00:00 every day; not on 12 excluded stretches of dates"
    )


def some(low: int, high: int, *more: str) -> st.SearchStrategy[str]:
    numbers = st.lists(st.integers(low, high), min_size=1, max_size=8).map(lambda n: ",".join(map(str, n)))
    return st.sampled_from(["*", "*", "*/2", "*/5", *more]) | numbers


@given(
    st.tuples(some(0, 59), some(0, 23), some(1, 31, "L"), some(1, 12), some(0, 6, "5L", "mon#1", "mon-fri"))
)
@settings(deadline=None)
def test_every_spec_has_words_and_what_means_the_same_has_the_same(parts: tuple[str, ...]) -> None:
    try:
        cron = Cron.parse(" ".join(parts))
    except InvalidSchedule:
        return
    words = in_words(Plan(cron))
    assert words.startswith(("at ", "every "))
    assert "  " not in words
    assert " ," not in words
    assert not words.endswith((" ", ","))
    longhand = [",".join(map(str, sorted(values))) for values in (cron.fields.minutes, cron.fields.hours)]
    assert in_words(Plan(Cron.parse(" ".join([*longhand, *parts[2:]])))) == words
