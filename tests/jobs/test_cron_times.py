"""What a cron spec may say, what it means by the clock of UTC, and what is said of a wrong one."""

import pickle
import time
from datetime import UTC, datetime, timedelta

import pytest

from jobs.errors import InvalidSchedule
from jobs.times.cron import Cron

#: A Thursday.
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def ticks(spec: str, count: int, after: datetime = NEW_YEAR - timedelta(seconds=1)) -> list[str]:
    """The next ticks as `Thu 01 Jan 2026 00:00`."""
    cron = Cron.parse(spec)

    found: list[str] = []
    tick = cron.next_after(after)
    while tick is not None and len(found) < count:
        found.append(f"{tick:%a %d %b %Y %H:%M}")
        tick = cron.next_after(tick)
    return found


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("*/20 * * * *", ["Thu 01 Jan 2026 00:00", "Thu 01 Jan 2026 00:20", "Thu 01 Jan 2026 00:40"]),
        ("5/20 * * * *", ["Thu 01 Jan 2026 00:05", "Thu 01 Jan 2026 00:25", "Thu 01 Jan 2026 00:45"]),
        ("10-14/2 9 * * *", ["Thu 01 Jan 2026 09:10", "Thu 01 Jan 2026 09:12", "Thu 01 Jan 2026 09:14"]),
        ("50,10 23 * * *", ["Thu 01 Jan 2026 23:10", "Thu 01 Jan 2026 23:50", "Fri 02 Jan 2026 23:10"]),
        ("0 9 * * mon-fri", ["Thu 01 Jan 2026 09:00", "Fri 02 Jan 2026 09:00", "Mon 05 Jan 2026 09:00"]),
        ("0 0 * * 0", ["Sun 04 Jan 2026 00:00", "Sun 11 Jan 2026 00:00"]),
        ("0 0 * * 7", ["Sun 04 Jan 2026 00:00", "Sun 11 Jan 2026 00:00"]),
        ("0 0 * * SUN", ["Sun 04 Jan 2026 00:00", "Sun 11 Jan 2026 00:00"]),
        ("0 0 * * fri-sun", ["Fri 02 Jan 2026 00:00", "Sat 03 Jan 2026 00:00", "Sun 04 Jan 2026 00:00"]),
        ("0 0 * * 6-7", ["Sat 03 Jan 2026 00:00", "Sun 04 Jan 2026 00:00", "Sat 10 Jan 2026 00:00"]),
        ("0 0 1 Mar,jun *", ["Sun 01 Mar 2026 00:00", "Mon 01 Jun 2026 00:00", "Mon 01 Mar 2027 00:00"]),
        ("0 0 1 */6 *", ["Thu 01 Jan 2026 00:00", "Wed 01 Jul 2026 00:00"]),
        ("0 0 31 * *", ["Sat 31 Jan 2026 00:00", "Tue 31 Mar 2026 00:00", "Sun 31 May 2026 00:00"]),
        ("0 0 29 2 *", ["Tue 29 Feb 2028 00:00", "Sun 29 Feb 2032 00:00"]),
    ],
)
def test_a_spec_fires_at_what_its_fields_name(spec: str, expected: list[str]) -> None:
    assert ticks(spec, len(expected)) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        # The last day of the month, also in February of a leap year.
        ("0 0 L 1-2 *", ["Sat 31 Jan 2026 00:00", "Sat 28 Feb 2026 00:00", "Sun 31 Jan 2027 00:00"]),
        ("0 0 L feb *", ["Sat 28 Feb 2026 00:00", "Sun 28 Feb 2027 00:00", "Tue 29 Feb 2028 00:00"]),
        ("0 0 15,L 1 *", ["Thu 15 Jan 2026 00:00", "Sat 31 Jan 2026 00:00"]),
        ("0 0 * * 5L", ["Fri 30 Jan 2026 00:00", "Fri 27 Feb 2026 00:00", "Fri 27 Mar 2026 00:00"]),
        ("0 0 * * friL", ["Fri 30 Jan 2026 00:00", "Fri 27 Feb 2026 00:00"]),
        ("0 0 * * 7L", ["Sun 25 Jan 2026 00:00", "Sun 22 Feb 2026 00:00"]),
        ("0 0 * * mon#1", ["Mon 05 Jan 2026 00:00", "Mon 02 Feb 2026 00:00"]),
        # The seventh is still the first of its kind, and a 31st is the last one, not the 24th.
        ("0 0 * 6 sun#1", ["Sun 07 Jun 2026 00:00", "Sun 06 Jun 2027 00:00"]),
        ("0 0 * 7 5L", ["Fri 31 Jul 2026 00:00", "Fri 30 Jul 2027 00:00"]),
        ("0 0 * * 4#5", ["Thu 29 Jan 2026 00:00", "Thu 30 Apr 2026 00:00"]),
        ("0 0 * * mon#1,wed", ["Mon 05 Jan 2026 00:00", "Wed 07 Jan 2026 00:00", "Wed 14 Jan 2026 00:00"]),
    ],
)
def test_l_and_the_hash_count_within_the_month(spec: str, expected: list[str]) -> None:
    assert ticks(spec, len(expected)) == expected


def test_when_both_kinds_of_day_are_restricted_either_is_enough() -> None:
    expected = ["Fri 02 Jan 2026 00:00", "Fri 09 Jan 2026 00:00", "Tue 13 Jan 2026 00:00"]
    assert ticks("0 0 13 * fri", 3) == expected


def test_a_kind_of_day_that_begins_with_a_star_must_fit_too() -> None:
    # As in Debian's cron: of the odd days the Fridays, and not all of both.
    assert ticks("0 0 */2 * fri", 2) == ["Fri 09 Jan 2026 00:00", "Fri 23 Jan 2026 00:00"]


@pytest.mark.parametrize(
    ("nickname", "same"),
    [
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * sun"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@Hourly", "0 * * * *"),
    ],
)
def test_nicknames_stand_for_specs(nickname: str, same: str) -> None:
    assert ticks(nickname, 5) == ticks(same, 5)


def test_a_tick_is_after_the_instant_and_not_at_it() -> None:
    cron = Cron.parse("0 9 * * *")
    nine = NEW_YEAR.replace(hour=9)
    assert cron.next_after(nine) == nine + timedelta(days=1)
    assert cron.next_after(nine - timedelta(microseconds=1)) == nine
    assert cron.previous_before(nine) == nine - timedelta(days=1)
    assert cron.previous_before(nine + timedelta(microseconds=1)) == nine


def test_ticks_are_in_utc_whatever_zone_the_instant_is_in() -> None:
    berlin = Cron.parse("0 9 * * *", "Europe/Berlin")
    here = NEW_YEAR.astimezone(berlin.tz)
    assert berlin.next_after(here) == datetime(2026, 1, 1, 8, tzinfo=UTC)
    found = berlin.next_after(here)
    assert found is not None
    assert found.tzinfo is UTC


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="must have a time zone"):
        Cron.parse("@daily").next_after(NEW_YEAR.replace(tzinfo=None))


def test_before_and_after_the_calendar_there_is_no_tick() -> None:
    for zone in ("UTC", "Europe/Berlin"):
        cron = Cron.parse("0 0 1 1 *", zone)
        assert cron.next_after(datetime(9999, 12, 31, 23, tzinfo=UTC)) is None
        assert cron.previous_before(datetime(1, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("61 * * * *", "minute '61' must be of numbers from 0 to 59, such as 0, 0-29, */15 or 0,30."),
        ("* 24 * * *", "hour '24' must be of numbers from 0 to 23, such as 9, 9-17, */6 or 9,17."),
        ("0 0 0 * *", "day of month '0' must be of numbers from 1 to 31, such as 1, 1-7, 1,15 or L."),
        ("0 0 15W * *", "day of month '15w' must be of numbers from 1 to 31, such as 1, 1-7, 1,15 or L."),
        ("0 0 ? * 1", "day of month '?' must be of numbers"),
        ("0 0 * 13 *", "month '13' must be of numbers from 1 to 12 or names (jan, feb, "),
        ("0 9 * * mon-fir", "day of week 'mon-fir' must be of numbers from 0 to 7 or names (sun, mon, "),
        ("0 9 * * L", "day of week 'l' must be of numbers"),
        ("0 9 * * mon#6", "day of week 'mon#6' must have 1 to 5 after the #."),
        ("*/0 * * * *", "minute '*/0' must have a step of 1 to 60 after the slash."),
        ("*/90 * * * *", "minute '*/90' must have a step of 1 to 60 after the slash."),
        ("*/x * * * *", "minute '*/x' must have a step of 1 to 60 after the slash."),
        ("0 22-2 * * *", "hour '22-2' runs backwards: give two ranges, 22-23,0-2."),
        ("0 0 * nov-feb *", "month 'nov-feb' runs backwards: give two ranges, nov-dec,jan-feb."),
        ("0 0 * * sat-mon", "day of week 'sat-mon' runs backwards: give two ranges, sat-sun,sun-mon."),
        ("1,,2 * * * *", "minute '' must be of numbers"),
        ("٣ * * * *", "minute '٣' must be of numbers"),
        ("-1 * * * *", "minute '-1' must be of numbers"),
        ("* * * *", "has 4 fields and must have five: minute, hour, day of month, month, day of week"),
        ("0 * * * * *", "has 6 fields and must have five"),
        ("", "has 0 fields and must have five"),
        ("@reboot", "cron '@reboot' must be five fields or one of @yearly, @annually, @monthly, @weekly, "),
        ("0" * 500, "cron must be at most 400 characters, and this has 500."),
        ("0 0 30 2 *", "cron '0 0 30 2 *' never fires: no month that it names has a day that it asks for."),
        ("0 0 31 4,6,9,11 *", "never fires"),
        ("0 0 */31 2 mon#2", "never fires"),
    ],
)
def test_a_wrong_spec_is_refused_with_the_field_the_value_and_what_is_right(spec: str, said: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        Cron.parse(spec)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("Europe/Brelin", "timezone 'Europe/Brelin' is unknown: did you mean 'Europe/Berlin'?"),
        ("europe/berlin", "did you mean 'Europe/Berlin'?"),
        ("New York", "did you mean 'America/New_York'?"),
        ("Europe", "give an IANA name such as 'UTC' or 'Europe/Berlin'."),
        ("../../etc/passwd", "is unknown"),
        ("right/Europe/Berlin", "is unknown"),
        ("", "is unknown"),
        ("a\0b", "is unknown"),
    ],
)
def test_an_unknown_zone_is_refused_with_the_nearest_name(zone: str, said: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        Cron.parse("@daily", zone)
    assert said in str(refused.value)


def test_equal_specs_are_equal_and_can_be_keys_and_pickled() -> None:
    cron = Cron.parse("0  9 * * *", "Europe/Berlin")
    assert cron == Cron.parse(" 0 9 * * * ", "Europe/Berlin")
    assert cron != Cron.parse("0 9 * * *")
    assert {cron: 1}[Cron.parse("0 9 * * *", "Europe/Berlin")] == 1
    assert pickle.loads(pickle.dumps(cron)).next_after(NEW_YEAR) == cron.next_after(NEW_YEAR)


def test_a_spec_that_fires_once_in_forty_years_is_found_at_once() -> None:
    # 29 February that is a Sunday, over the year 2100 that has none; a walk by minutes takes seconds.
    cron = Cron.parse("0 0 29 2 */7", "Europe/Berlin")
    begun = time.thread_time()
    found = cron.next_after(datetime(2088, 3, 1, tzinfo=UTC))
    assert found == datetime(2128, 2, 28, 23, tzinfo=UTC)
    assert cron.previous_before(found) == datetime(2088, 2, 28, 23, tzinfo=UTC)
    assert time.thread_time() - begun < 0.05


def test_ten_thousand_schedules_have_their_next_tick_in_far_less_than_three_seconds() -> None:
    begun = time.thread_time()
    for number in range(10_000):
        spec = f"{number % 60} {number // 60 % 24} * * {number % 7}"
        Cron.parse(spec, "UTC" if number % 2 else "Europe/Berlin").next_after(NEW_YEAR)
    assert time.thread_time() - begun < 2.5
