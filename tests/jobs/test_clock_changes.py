"""What becomes of a schedule on the days on which the clocks are changed, in zones that do it differently.

A spec with a time of the day: what the gap swallows runs at the first moment after it, what comes twice runs
the first time. A spec whose minute or hour begins with a star follows real time: nothing for the gap, both
passes of the fold.
"""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from jobs.times.cron import Cron
from jobs.times.plan import Plan
from jobs.times.preview import preview


def of_day(spec: str, zone: str, day: str) -> list[str]:
    """The ticks of a local day, as `02:30+02:00`."""
    cron = Cron.parse(spec, zone)
    wanted = date.fromisoformat(day)
    found = []
    tick = cron.next_after(datetime(wanted.year, wanted.month, wanted.day, tzinfo=UTC) - timedelta(days=2))
    while tick is not None and (local := tick.astimezone(cron.tz)).date() <= wanted:
        if local.date() == wanted:
            found.append(f"{local:%H:%M%z}"[:-2] + ":" + f"{local:%z}"[-2:])
        tick = cron.next_after(tick)
    return found


def backwards(spec: str, zone: str, day: str) -> list[str]:
    """The same, asked for from the end."""
    cron = Cron.parse(spec, zone)
    wanted = date.fromisoformat(day)
    found: list[str] = []
    tick = cron.previous_before(
        datetime(wanted.year, wanted.month, wanted.day, tzinfo=UTC) + timedelta(days=3)
    )
    while tick is not None and (local := tick.astimezone(cron.tz)).date() >= wanted:
        if local.date() == wanted:
            found.insert(0, f"{local:%H:%M%z}"[:-2] + ":" + f"{local:%z}"[-2:])
        tick = cron.previous_before(tick)
    return found


BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
CASABLANCA, SAO_PAULO, TEHRAN = "Africa/Casablanca", "America/Sao_Paulo", "Asia/Tehran"

FORWARD = [
    # Berlin, 02:00 becomes 03:00.
    (BERLIN, "2026-03-29", "30 2 * * *", ["03:00+02:00"]),
    (BERLIN, "2026-03-29", "0 2 * * *", ["03:00+02:00"]),
    (BERLIN, "2026-03-29", "59 1 * * *", ["01:59+01:00"]),
    (BERLIN, "2026-03-29", "0 3 * * *", ["03:00+02:00"]),
    # Several swallowed times, and one that is due then anyway, are one tick.
    (BERLIN, "2026-03-29", "0,30 2 * * *", ["03:00+02:00"]),
    (BERLIN, "2026-03-29", "0,30 2,3 * * *", ["03:00+02:00", "03:30+02:00"]),
    (BERLIN, "2026-03-29", "15 1,2,3 * * *", ["01:15+01:00", "03:00+02:00", "03:15+02:00"]),
    (BERLIN, "2026-03-29", "*/30 1-3 * * *", ["01:00+01:00", "01:30+01:00", "03:00+02:00", "03:30+02:00"]),
    (BERLIN, "2026-03-29", "*/30 2 * * *", []),
    (
        BERLIN,
        "2026-03-29",
        "30 */2 * * *",
        [f"{hour:02}:30+0{1 if hour < 2 else 2}:00" for hour in range(0, 24, 2) if hour != 2],
    ),
    # New York, 02:00 becomes 03:00.
    (NEW_YORK, "2026-03-08", "30 2 * * *", ["03:00-04:00"]),
    (NEW_YORK, "2026-03-08", "30 1-3 * * *", ["01:30-05:00", "03:00-04:00", "03:30-04:00"]),
    (NEW_YORK, "2026-03-08", "*/20 2,3 * * *", ["03:00-04:00", "03:20-04:00", "03:40-04:00"]),
    # Lord Howe, 02:00 becomes 02:30.
    (LORD_HOWE, "2026-10-04", "15 2 * * *", ["02:30+11:00"]),
    (LORD_HOWE, "2026-10-04", "0,45 2 * * *", ["02:30+11:00", "02:45+11:00"]),
    (
        LORD_HOWE,
        "2026-10-04",
        "*/15 1,2 * * *",
        ["01:00+10:30", "01:15+10:30", "01:30+10:30", "01:45+10:30", "02:30+11:00", "02:45+11:00"],
    ),
    (LORD_HOWE, "2026-10-04", "0 1-4/1 * * *", ["01:00+10:30", "02:30+11:00", "03:00+11:00", "04:00+11:00"]),
    # Casablanca, after Ramadan: 02:00 becomes 03:00.
    (CASABLANCA, "2026-03-22", "30 2 * * *", ["03:00+01:00"]),
    (CASABLANCA, "2026-03-22", "*/30 2,3 * * *", ["03:00+01:00", "03:30+01:00"]),
    # São Paulo and Tehran, as long as they did it: midnight becomes 01:00.
    (SAO_PAULO, "2018-11-04", "0 0 * * *", ["01:00-02:00"]),
    (SAO_PAULO, "2018-11-04", "30 0,1 * * *", ["01:00-02:00", "01:30-02:00"]),
    (SAO_PAULO, "2018-11-04", "*/30 0,1 * * *", ["01:00-02:00", "01:30-02:00"]),
    (SAO_PAULO, "2018-11-04", "*/30 0 * * *", []),
    (TEHRAN, "2022-03-22", "0 0 * * *", ["01:00+04:30"]),
    (TEHRAN, "2022-03-22", "* 0 * * *", []),
]

BACK = [
    # Berlin, 03:00 becomes 02:00.
    (BERLIN, "2026-10-25", "30 2 * * *", ["02:30+02:00"]),
    (BERLIN, "2026-10-25", "0 3 * * *", ["03:00+01:00"]),
    (
        BERLIN,
        "2026-10-25",
        "0,30 1-3 * * *",
        ["01:00+02:00", "01:30+02:00", "02:00+02:00", "02:30+02:00", "03:00+01:00", "03:30+01:00"],
    ),
    (BERLIN, "2026-10-25", "*/30 2 * * *", ["02:00+02:00", "02:30+02:00", "02:00+01:00", "02:30+01:00"]),
    (
        BERLIN,
        "2026-10-25",
        "30 */2 * * *",
        ["00:30+02:00", "02:30+02:00", "02:30+01:00"] + [f"{hour:02}:30+01:00" for hour in range(4, 24, 2)],
    ),
    # New York, 02:00 becomes 01:00.
    (NEW_YORK, "2026-11-01", "30 1 * * *", ["01:30-04:00"]),
    (
        NEW_YORK,
        "2026-11-01",
        "*/30 1,2 * * *",
        ["01:00-04:00", "01:30-04:00", "01:00-05:00", "01:30-05:00", "02:00-05:00", "02:30-05:00"],
    ),
    # Lord Howe, 02:00 becomes 01:30.
    (LORD_HOWE, "2026-04-05", "45 1 * * *", ["01:45+11:00"]),
    (LORD_HOWE, "2026-04-05", "15 1 * * *", ["01:15+11:00"]),
    (
        LORD_HOWE,
        "2026-04-05",
        "*/15 1 * * *",
        ["01:00+11:00", "01:15+11:00", "01:30+11:00", "01:45+11:00", "01:30+10:30", "01:45+10:30"],
    ),
    (
        LORD_HOWE,
        "2026-04-05",
        "0 */3 * * *",
        ["00:00+11:00"] + [f"{hour:02}:00+10:30" for hour in range(3, 24, 3)],
    ),
    # Casablanca, before Ramadan: 03:00 becomes 02:00.
    (CASABLANCA, "2026-02-15", "30 2 * * *", ["02:30+01:00"]),
    (CASABLANCA, "2026-02-15", "*/30 2 * * *", ["02:00+01:00", "02:30+01:00", "02:00+00:00", "02:30+00:00"]),
    # São Paulo and Tehran: midnight becomes 23:00 of the day that just ended.
    (SAO_PAULO, "2019-02-16", "30 23 * * *", ["23:30-02:00"]),
    (SAO_PAULO, "2019-02-16", "*/30 23 * * *", ["23:00-02:00", "23:30-02:00", "23:00-03:00", "23:30-03:00"]),
    (SAO_PAULO, "2019-02-17", "0 0 * * *", ["00:00-03:00"]),
    (TEHRAN, "2022-09-21", "30 23 * * *", ["23:30+04:30"]),
    (TEHRAN, "2022-09-21", "30 * * * *", [f"{hour:02}:30+04:30" for hour in range(24)] + ["23:30+03:30"]),
]


@pytest.mark.parametrize(("zone", "day", "spec", "expected"), FORWARD)
def test_when_the_clock_goes_forward(zone: str, day: str, spec: str, expected: list[str]) -> None:
    assert of_day(spec, zone, day) == expected
    assert backwards(spec, zone, day) == expected


@pytest.mark.parametrize(("zone", "day", "spec", "expected"), BACK)
def test_when_the_clock_goes_back(zone: str, day: str, spec: str, expected: list[str]) -> None:
    assert of_day(spec, zone, day) == expected
    assert backwards(spec, zone, day) == expected


@pytest.mark.parametrize(
    ("zone", "year"),
    [
        (BERLIN, 2026),
        (NEW_YORK, 2026),
        (LORD_HOWE, 2026),
        (CASABLANCA, 2026),
        (TEHRAN, 2021),
        (SAO_PAULO, 2018),
    ],
)
class TestOneYearAroundBothChanges:
    @pytest.mark.parametrize("time", ["0 0", "30 0", "45 1", "0 2", "15 2", "30 2", "30 23"])
    def test_a_time_of_the_day_runs_once_on_each_day(self, zone: str, year: int, time: str) -> None:
        cron = Cron.parse(f"{time} * * *", zone)
        days = []
        tick = cron.next_after(datetime(year, 1, 2, tzinfo=UTC))
        while tick is not None and tick < datetime(year, 12, 31, tzinfo=UTC):
            days.append(tick.astimezone(cron.tz).date())
            tick = cron.next_after(tick)
        assert len(days) >= 362
        assert [b - a for a, b in pairwise(days)] == [timedelta(days=1)] * (len(days) - 1)

    def test_every_half_hour_is_every_half_hour(self, zone: str, year: int) -> None:
        ticks = Plan(Cron.parse("*/30 * * * *", zone)).between(
            datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC), 20_000
        )
        assert len(ticks) == 365 * 48
        assert {b - a for a, b in pairwise(ticks)} == {timedelta(minutes=30)}


def test_a_tick_within_the_second_pass_is_never_before_the_instant() -> None:
    # cronsim, given 02:10 of the second pass, says 02:30 of the first, fifty minutes earlier.
    second_pass = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)
    cron = Cron.parse("30 2 * * *", BERLIN)
    assert cron.next_after(second_pass) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
    assert cron.previous_before(second_pass) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_day_that_a_zone_leaves_out_runs_at_the_start_of_the_next() -> None:
    # Samoa went over the date line: after 29 December 2011 came the 31st.
    assert of_day("30 12 30 12 *", "Pacific/Apia", "2011-12-31") == ["00:00+14:00"]
    assert backwards("30 12 30 12 *", "Pacific/Apia", "2011-12-31") == ["00:00+14:00"]
    assert of_day("*/30 12 30 12 *", "Pacific/Apia", "2011-12-31") == []


def notes(spec: str, zone: str, after: str, count: int) -> list[tuple[str, str]]:
    found = preview(Plan(Cron.parse(spec, zone)), "nightly", datetime.fromisoformat(after), count)
    return [(f"{coming.local:%d %H:%M %z}", coming.note) for coming in found]


def test_the_preview_says_what_the_change_does_to_a_time_of_the_day() -> None:
    assert notes("30 2 * * *", BERLIN, "2026-03-28T00:00+01:00", 3) == [
        ("28 02:30 +0100", ""),
        (
            "29 03:00 +0200",
            "The clock goes from 02:00 to 03:00 on this day: 02:30 is not on it, and runs now.",
        ),
        ("30 02:30 +0200", ""),
    ]
    assert notes("30 2 * * *", BERLIN, "2026-10-24T00:00+02:00", 3) == [
        ("24 02:30 +0200", ""),
        ("25 02:30 +0200", "The clock shows 02:30 twice on this day: it runs the first time only."),
        ("26 02:30 +0100", ""),
    ]


def test_the_preview_says_what_the_change_does_to_real_time() -> None:
    assert notes("*/30 * * * *", BERLIN, "2026-03-29T01:20+01:00", 3) == [
        ("29 01:30 +0100", ""),
        (
            "29 03:00 +0200",
            "The clock goes from 02:00 to 03:00 on this day: nothing runs for the times between.",
        ),
        ("29 03:30 +0200", ""),
    ]
    assert notes("30 * * * *", BERLIN, "2026-10-25T02:00+02:00", 3) == [
        ("25 02:30 +0200", "The clock shows 02:30 twice on this day: this is the first time."),
        ("25 02:30 +0100", "The clock shows 02:30 twice on this day: this is the second time."),
        ("25 03:30 +0100", ""),
    ]


def test_the_preview_ends_with_the_plan_and_names_the_due_time() -> None:
    plan = Plan(Cron.parse("@daily"), end=datetime(2026, 1, 2, tzinfo=UTC), jitter_s=60)
    found = preview(plan, "nightly", datetime(2025, 12, 31, 12, tzinfo=UTC), 5)
    assert [coming.tick.day for coming in found] == [1, 2]
    assert [coming.due for coming in found] == [plan.due("nightly", coming.tick) for coming in found]
