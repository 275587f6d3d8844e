"""Every so many seconds, once, and what bounds a plan: start, end, exclusions, jitter."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import InvalidSchedule
from jobs.times.calendar import Exclusions
from jobs.times.cron import Cron
from jobs.times.intervals import Every, Once
from jobs.times.plan import Plan

BERLIN = "Europe/Berlin"
MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=seconds) for seconds in (1, 60, 3_600, 86_400))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def ticks(plan: Plan, after: datetime, count: int) -> list[str]:
    """The next ticks by the clock of the plan's zone, as `06-01 09:00`."""
    zone = Cron.parse("* * * * *", plan.zone).tz
    return [
        f"{tick.astimezone(zone):%m-%d %H:%M}" for tick in plan.between(after, at("9999-01-01T00:00Z"), count)
    ]


class TestEvery:
    def test_ticks_are_multiples_since_1970_so_that_all_hosts_agree(self) -> None:
        every = Every(90)
        assert every.next_after(at("2026-06-01T00:00:00Z")) == at("2026-06-01T00:01:30Z")
        assert every.next_after(at("2026-06-01T00:01:29.999Z")) == at("2026-06-01T00:01:30Z")
        assert every.next_after(at("2026-06-01T00:01:30Z")) == at("2026-06-01T00:03:00Z")
        assert every.previous_before(at("2026-06-01T00:01:30Z")) == at("2026-06-01T00:00:00Z")
        assert every.previous_before(at("2026-06-01T00:01:30.001Z")) == at("2026-06-01T00:01:30Z")

    @given(st.integers(1, 366 * 86_400), st.datetimes(datetime(1902, 1, 1), datetime(2200, 1, 1)))
    def test_forwards_and_backwards_are_the_same_ticks(self, seconds: int, instant: datetime) -> None:
        every, instant = Every(seconds), instant.replace(tzinfo=UTC)
        before, after = every.previous_before(instant), every.next_after(instant)
        assert before is not None
        assert after is not None
        assert before < instant < after
        assert after.timestamp() % seconds == before.timestamp() % seconds == 0
        assert (after - before).total_seconds() in (seconds, 2 * seconds)
        assert every.previous_before(after) in (before, instant)
        assert every.next_after(before) in (after, instant)

    @pytest.mark.parametrize("seconds", [0, -1, 366 * 86_400 + 1, True, 1.5, "5"])
    def test_other_lengths_are_refused(self, seconds: Any) -> None:
        with pytest.raises(InvalidSchedule, match=r"^every "):
            Every(seconds)

    def test_there_is_no_tick_beyond_the_calendar(self) -> None:
        assert Every(86_400).next_after(datetime(9999, 12, 31, 12, tzinfo=UTC)) is None
        assert Every(86_400).previous_before(datetime(1, 1, 1, tzinfo=UTC)) is None


class TestOnce:
    def test_it_fires_at_its_moment_and_never_again(self) -> None:
        once = Once(at("2026-12-24T18:00:00.7+01:00"))
        moment = at("2026-12-24T17:00:00Z")
        assert once.at.tzinfo is UTC
        assert once.next_after(moment - SECOND) == moment
        assert once.next_after(moment) is None
        assert once.previous_before(moment) is None
        assert once.previous_before(moment + SECOND) == moment

    def test_a_moment_without_a_zone_is_refused(self) -> None:
        with pytest.raises(InvalidSchedule, match=r"at '2026-12-24 18:00:00' must be a time with its zone"):
            Once(datetime(2026, 12, 24, 18))


class TestStartAndEnd:
    plan = Plan(Every(3_600), start=at("2026-06-01T10:00:00Z"), end=at("2026-06-01T12:00:00Z"))

    def test_both_are_ticks_when_they_fall_on_one(self) -> None:
        assert ticks(self.plan, MONDAY, 9) == ["06-01 10:00", "06-01 11:00", "06-01 12:00"]

    def test_backwards_too(self) -> None:
        assert self.plan.previous_before(at("2027-01-01T00:00Z")) == at("2026-06-01T12:00Z")
        assert self.plan.previous_before(at("2026-06-01T11:00Z")) == at("2026-06-01T10:00Z")
        assert self.plan.previous_before(at("2026-06-01T10:00Z")) is None

    def test_an_end_before_the_start_is_refused(self) -> None:
        with pytest.raises(InvalidSchedule, match="must not be before start 2026-06-01T00:00:00Z"):
            Plan(Every(60), start=MONDAY, end=MONDAY - SECOND)

    def test_without_a_zone_they_are_refused(self) -> None:
        with pytest.raises(InvalidSchedule, match="start '2026-06-01 00:00:00' must be a time with its zone"):
            Plan(Every(60), start=datetime(2026, 6, 1))


class TestZone:
    def test_a_plan_has_the_zone_of_its_cron(self) -> None:
        assert Plan(Cron.parse("@daily", BERLIN)).zone == BERLIN

    def test_a_cron_of_another_zone_is_refused(self) -> None:
        with pytest.raises(
            InvalidSchedule, match=f"timezone 'Asia/Tokyo' must be that of the cron, '{BERLIN}'"
        ):
            Plan(Cron.parse("@daily", BERLIN), zone="Asia/Tokyo")

    def test_an_unknown_one_is_refused(self) -> None:
        with pytest.raises(InvalidSchedule, match="did you mean 'Europe/Berlin'"):
            Plan(Every(60), zone="Europe/Berlim")


class TestBetween:
    plan = Plan(Every(600))

    def test_it_is_after_the_first_and_up_to_the_last(self) -> None:
        assert self.plan.between(MONDAY, MONDAY + 30 * MINUTE, 99) == [
            MONDAY + n * 10 * MINUTE for n in (1, 2, 3)
        ]

    def test_of_too_many_the_oldest_or_the_newest(self) -> None:
        until = MONDAY + 60 * MINUTE + timedelta(milliseconds=1)
        assert self.plan.between(MONDAY, until, 2) == [MONDAY + 10 * MINUTE, MONDAY + 20 * MINUTE]
        assert self.plan.newest_between(MONDAY, until, 2) == [MONDAY + 50 * MINUTE, MONDAY + 60 * MINUTE]
        assert self.plan.newest_between(MONDAY, until, 99) == self.plan.between(MONDAY, until, 99)

    def test_whether_an_instant_is_a_tick(self) -> None:
        assert self.plan.is_tick(MONDAY + 10 * MINUTE)
        assert not self.plan.is_tick(MONDAY + 10 * MINUTE + SECOND)
        assert not self.plan.is_tick(MONDAY + 10 * MINUTE + timedelta(microseconds=5))


class TestJitter:
    plan = Plan(Every(60), jitter_s=30)

    def test_it_moves_when_a_tick_is_due_and_not_the_tick(self) -> None:
        assert self.plan.next_after(MONDAY) == MONDAY + MINUTE
        delays = [
            (self.plan.due("a", tick) - tick).total_seconds()
            for tick in self.plan.between(MONDAY, MONDAY + DAY, 500)
        ]
        assert 0 <= min(delays) < 1
        assert 29 < max(delays) <= 30
        assert len(set(delays)) > 400
        assert all(delay * 1_000 == pytest.approx(round(delay * 1_000), abs=1e-6) for delay in delays)

    def test_two_schedules_of_one_time_are_spread(self) -> None:
        assert len({self.plan.due(f"schedule-{n}", MONDAY) for n in range(100)}) > 90

    def test_it_is_the_same_in_every_process(self) -> None:
        program = (
            "from datetime import *; from jobs.times.plan import Plan, Every\n"
            "plan = Plan(Every(60), jitter_s=30)\n"
            "print(plan.due('nightly', datetime(2026, 6, 1, tzinfo=UTC)).isoformat())"
        )
        told = {
            subprocess.run(
                [sys.executable, "-c", program],
                env={"PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            for seed in ("1", "2")
        }
        assert told == {self.plan.due("nightly", MONDAY).isoformat()} == {"2026-06-01T00:00:18.157000+00:00"}

    def test_none_is_no_delay(self) -> None:
        assert Plan(Every(60)).due("a", MONDAY) == MONDAY

    @pytest.mark.parametrize("jitter", [-1, 86_401, True, 1.5])
    def test_others_are_refused(self, jitter: Any) -> None:
        with pytest.raises(InvalidSchedule, match=r"^jitter "):
            Plan(Every(60), jitter_s=jitter)


def test_plans_are_equal_and_can_be_keys() -> None:
    one, two = (Plan(Cron.parse("@daily"), exclusions=Exclusions.parse(["2026-12-25"])) for _ in range(2))
    assert one == two
    assert len({one, two}) == 1
    assert all(b - a == DAY for a, b in pairwise(one.between(MONDAY, MONDAY + 9 * DAY, 9)))
