"""Our cron against two that have nothing in common with it, over random specs, zones and years.

`cronsim` is an independent implementation of the same rules (those of Debian's cron). A walk over every
minute is the definition itself, and judges the days on which clocks are changed. Where cronsim does something
else, it is named here, and the walk is asked instead:

- Asked from within the second pass of a fold, cronsim answers for a time of the day with a moment of the
  first pass, which is over. Ours is always after the instant (or before it, backwards).
- For what follows real time, cronsim leaves out ticks or gives times that no clock shows, where the clock is
  changed by half an hour, or across midnight.
- `5-5/2` is 5 for us (and for Debian's cron), and 5, 7, 9 and so on for cronsim.
- cronsim refuses `fri-sun` and `monL`, and takes a step larger than its field.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from jobs.errors import InvalidSchedule
from jobs.times.cron import Cron

ZONES = [
    *("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Tehran"),
    *("America/Sao_Paulo", "America/Havana", "Antarctica/Troll", "Asia/Kolkata", "Pacific/Chatham"),
    *("America/Caracas", "Pacific/Apia", "Africa/Cairo"),
]
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
FIRST, LAST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2060, 1, 1, tzinfo=UTC)

many = settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])


def field(
    low: int, high: int, names: tuple[str, ...] = (), special: tuple[str, ...] = ()
) -> st.SearchStrategy[str]:
    value = st.integers(low, high).map(str)
    ends = st.tuples(st.integers(low, high), st.integers(low, high)).map(sorted)
    span = ends.map(lambda two: f"{two[0]}-{two[1]}")
    wide = ends.filter(lambda two: two[0] < two[1]).map(lambda two: f"{two[0]}-{two[1]}")
    step = st.integers(1, high - low + 1 - (high == 7))
    stepped = st.tuples(st.just("*") | wide | value, step).map(lambda two: f"{two[0]}/{two[1]}")
    item = value | span | stepped | st.sampled_from(names or ("*",))
    if special:
        item |= st.sampled_from(special)
    # Often a star, or nearly no spec would have one in three fields.
    return st.just("*") | st.lists(item, min_size=1, max_size=3).map(",".join)


MONTHS = ("jan", "FEB", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "MON", "tue", "wed", "thu", "fri", "sat")
minutes, hours = field(0, 59), field(0, 23)
days, months = field(1, 31, special=("L",)), st.just("*") | field(1, 12, MONTHS)
weekdays = field(0, 7, DAYS, special=("5L", "0L", "7L", "mon#1", "3#5", "SUN#2"))
specs = st.tuples(minutes, hours, days, months, weekdays).map(" ".join)
#: Two or three of the five restricted, as people write them.
usual = st.tuples(minutes, hours, st.just("*") | days, st.just("*"), st.just("*") | weekdays).map(" ".join)
instants = st.integers(0, int((LAST - FIRST).total_seconds())).map(lambda s: FIRST + timedelta(seconds=s))


def ours(cron: Cron, instant: datetime, back: bool) -> Iterator[datetime]:
    ask = cron.previous_before if back else cron.next_after
    tick = ask(instant)
    while tick is not None:
        yield tick
        tick = ask(tick)


def cronsims(spec: str, zone: str, instant: datetime, back: bool) -> Iterator[datetime]:
    tz = UTC if zone == "UTC" else ZoneInfo(zone)
    return (tick.astimezone(UTC) for tick in CronSim(spec, instant.astimezone(tz), reverse=back))


def parsed(spec: str, zone: str) -> Cron:
    try:
        return Cron.parse(spec, zone)
    except InvalidSchedule as error:
        if "never fires" in str(error):
            assume(False)
        raise


@lru_cache
def changes(zone: str) -> list[datetime]:
    """All changes of a zone's clock in the tested years, to the minute."""
    tz = ZoneInfo(zone)

    def offset(at: datetime) -> timedelta | None:
        return at.astimezone(tz).utcoffset()

    found, at = [], FIRST
    while at < LAST + 60 * DAY:
        low, high = at, at + DAY
        if offset(low) != offset(high):
            while high - low > MINUTE:
                middle = low + (high - low) // MINUTE // 2 * MINUTE
                low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
            found.append(high)
        at += DAY
    return found


def odd(change: datetime, zone: str) -> bool:
    """Whether a clock is changed by no whole hours, or across or at midnight."""
    before = (change - MINUTE).astimezone(ZoneInfo(zone)).replace(tzinfo=None) + MINUTE
    after = change.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    return (
        bool((after - before) % HOUR) or before.date() != after.date() or DAY.min == before.time().hour == 0
    )


def cronsim_errs(cron: Cron, zone: str, first: datetime, last: datetime) -> bool:
    if cron.fields.wall_clock:
        return bool(first.astimezone(ZoneInfo(zone)).fold or last.astimezone(ZoneInfo(zone)).fold)
    low, high = min(first, last) - 2 * DAY, max(first, last) + 2 * DAY
    return any(low <= change <= high and odd(change, zone) for change in changes(zone))


@given(spec=specs | usual, zone=st.sampled_from(ZONES), instant=instants, back=st.booleans())
@settings(many, max_examples=300)
def test_ticks_are_those_of_cronsim(spec: str, zone: str, instant: datetime, back: bool) -> None:
    cron = parsed(spec, zone)
    found = list(islice(ours(cron, instant, back), 4))
    assume(zone == "UTC" or not cronsim_errs(cron, zone, instant, found[-1]))
    assert found == list(islice(cronsims(spec, zone, instant, back), 4))


@given(
    spec=usual,
    zone=st.sampled_from(ZONES[1:]),
    pick=st.integers(0, 10**6),
    hours=st.integers(-30, 30),
    back=st.booleans(),
)
@settings(many, max_examples=200)
def test_ticks_near_a_change_of_the_clock_are_those_of_cronsim(
    spec: str, zone: str, pick: int, hours: int, back: bool
) -> None:
    near = [change for change in changes(zone) if not odd(change, zone)]
    assume(near)
    instant = near[pick % len(near)] + hours * HOUR
    cron = parsed(spec, zone)
    found = list(islice(ours(cron, instant, back), 8))
    assume(not cronsim_errs(cron, zone, instant, found[-1]))
    assert found == list(islice(cronsims(spec, zone, instant, back), 8))


def walked(spec: str, zone: str, first: datetime, last: datetime) -> list[datetime]:
    """The definition, minute by minute: what the clock on the wall shows, and what it has shown before.

    What the fields hold is cronsim's word."""
    tz = ZoneInfo(zone)
    fields = CronSim(spec, first.replace(tzinfo=None))
    of_day = not any(part.startswith("*") for part in spec.split()[:2])

    def named(wall: datetime) -> bool:
        return (
            wall.minute in fields.minutes
            and wall.hour in fields.hours
            and wall.month in fields.months
            and fields.match_day(wall.date())
        )

    ticks: list[datetime] = []
    at = first - 3 * HOUR  # no clock is put back further
    latest = at.astimezone(tz).replace(tzinfo=None, fold=0)
    while (at := at + MINUTE) <= last:
        wall = at.astimezone(tz).replace(tzinfo=None, fold=0)
        fires = named(wall)
        if of_day:
            left_out = range(1, max((wall - latest) // MINUTE, 1))
            fires = (wall > latest and fires) or any(named(latest + minute * MINUTE) for minute in left_out)
        if fires and at > first:
            ticks.append(at)
        latest = max(latest, wall)
    return ticks


def near_the_change(hour: int) -> st.SearchStrategy[str]:
    """Specs that have something to do in the hours around."""
    hours = st.sampled_from(
        ["*", "*/2", f"{hour}", f"{hour},{(hour + 1) % 24}", f"0-{hour}", "0,1,2,3,22,23"]
    )
    minutes = st.sampled_from(["*", "0", "30", "*/15", "5,35", "0-59/20", "15-45", "59"])
    days = st.sampled_from(["* * *", "* * *", "* * *", "L * *", "1-15 * sun"])
    return st.tuples(minutes, hours, days).map(" ".join)


@given(
    data=st.data(), zone=st.sampled_from(ZONES[1:]), pick=st.integers(0, 10**6), start=st.integers(-300, 300)
)
@settings(many, max_examples=120)
def test_ticks_on_a_day_of_a_change_are_those_of_the_walk_over_every_minute(
    data: st.DataObject, zone: str, pick: int, start: int
) -> None:
    assume(changes(zone))
    change = changes(zone)[pick % len(changes(zone))]
    spec = data.draw(near_the_change(change.astimezone(ZoneInfo(zone)).hour))
    cron = Cron.parse(spec, zone)
    first, last = change + start * MINUTE, change + 8 * HOUR
    expected = walked(spec, zone, first, last)
    found = ours(cron, first, back=False)
    assert list(islice(found, len(expected))) == expected
    following = next(found)
    assert following > last
    assert list(islice(ours(cron, following, back=True), len(expected))) == expected[::-1]
    # Asked at any moment, and not only from tick to tick.
    for minute in range(0, 8 * 60, 25):
        moment = min(first + minute * MINUTE, last)
        after = [tick for tick in expected if tick > moment]
        before = [tick for tick in expected if tick < moment]
        assert not after or cron.next_after(moment) == after[0]
        assert not before or cron.previous_before(moment) == before[-1]


@given(spec=specs, zone=st.sampled_from(ZONES), instant=instants)
@settings(many, max_examples=150)
def test_forwards_and_backwards_are_the_same_ticks(spec: str, zone: str, instant: datetime) -> None:
    cron = parsed(spec, zone)
    ticks = list(islice(ours(cron, instant, back=False), 5))
    assert all(earlier < later for earlier, later in pairwise([instant, *ticks]))
    assert list(islice(ours(cron, ticks[-1], back=True), 4)) == ticks[-2::-1]
    before = cron.previous_before(instant + timedelta(microseconds=1))
    assert before is not None
    assert before <= instant < ticks[0]
    assert cron.next_after(before) == ticks[0]


@given(day=days, month=months, weekday=weekdays)
@settings(many, max_examples=300)
def test_a_spec_is_refused_as_never_firing_when_cronsim_finds_nothing_in_fifty_years(
    day: str, month: str, weekday: str
) -> None:
    spec = f"0 0 {day} {month} {weekday}"
    try:
        Cron.parse(spec)
        fires = True
    except InvalidSchedule:
        fires = False
    try:
        expected = next(iter(CronSim(spec, FIRST)), None) is not None
    except CronSimError:
        expected = False
    assert fires == expected


def test_what_cronsim_refuses_and_we_take_and_the_other_way_round() -> None:
    for spec in ("0 0 * * fri-sun", "0 0 * * monL"):
        with pytest.raises(CronSimError):
            CronSim(spec, FIRST)
    assert Cron.parse("0 0 * * monL").fields.nth == {(1, -1)}
    assert Cron.parse("0 0 * * fri-sun").fields.weekdays == {5, 6, 0}
    assert Cron.parse("5-5/20 * * * *").fields.minutes == {5}
    assert CronSim("5-5/20 * * * *", FIRST).minutes == {5, 25, 45}
    assert CronSim("*/90 * * * *", FIRST).minutes == {0}
    with pytest.raises(InvalidSchedule):
        Cron.parse("*/90 * * * *")
