"""Which ticks are fired, and which are left out, when a scheduler looks at the clock."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from jobs.schedules import CatchUp, Schedule
from scheduling.catch_up import COUNTED, Decision, decide, left_out
from tests.scheduling.stage import START, schedule

WEEK_S = 7 * 86_400.0


def decided(one: Schedule, behind: timedelta, now: datetime = START, ahead_s: float = 1.0) -> Decision:
    return decide(one, now - behind, now, now + timedelta(seconds=ahead_s), WEEK_S)


def minutes(*numbers: int) -> list[datetime]:
    """So many minutes before noon."""
    return [START - timedelta(minutes=number) for number in numbers]


def hourly(**more: Any) -> Schedule:
    return schedule("hourly", "0 * * * *", **more)


def test_a_tick_that_is_due_is_fired() -> None:
    assert decided(schedule(), timedelta(seconds=30)) == Decision([START], 0, None, START)


def test_before_it_is_due_nothing_is() -> None:
    early = START - timedelta(seconds=2)
    assert decided(schedule(), timedelta(seconds=30), early) == Decision([], 0, None, None)


def test_it_is_handed_over_a_second_early() -> None:
    early = START - timedelta(seconds=1)
    assert decided(schedule(), timedelta(seconds=30), early).fire == [START]
    assert decided(schedule(), timedelta(seconds=30), early, ahead_s=0).fire == []


@pytest.mark.parametrize("policy", CatchUp)
def test_a_tick_of_the_last_minute_is_fired_under_every_policy(policy: CatchUp) -> None:
    one = schedule("often", 20, catch_up=policy)
    decision = decided(one, timedelta(seconds=60))
    assert decision.fire == [START - timedelta(seconds=late) for late in (40, 20, 0)]
    assert decision.missed == 0


def test_skip_leaves_out_what_was_missed() -> None:
    decision = decided(hourly(catch_up=CatchUp.SKIP), timedelta(hours=5), START - timedelta(minutes=2))
    assert decision == Decision([], 5, START - timedelta(hours=1), START - timedelta(hours=1))


def test_last_fires_the_last_one_that_was_missed() -> None:
    decision = decided(hourly(), timedelta(hours=5), START - timedelta(minutes=2))
    assert decision.fire == minutes(60)
    assert (decision.missed, decision.last_missed) == (4, START - timedelta(hours=2))


def test_last_needs_no_missed_one_when_the_newest_is_in_time() -> None:
    decision = decided(hourly(), timedelta(hours=5, minutes=1))
    assert (decision.fire, decision.missed) == ([START], 5)


def test_all_fires_all_that_were_missed() -> None:
    decision = decided(hourly(catch_up=CatchUp.ALL), timedelta(hours=3, minutes=1))
    assert (decision.fire, decision.missed) == (minutes(180, 120, 60, 0), 0)


def test_all_has_a_cap_and_the_newest_count() -> None:
    one = hourly(catch_up=CatchUp.ALL, catch_up_max=2)
    decision = decided(one, timedelta(hours=9, minutes=1), START + timedelta(minutes=2))
    assert (decision.fire, decision.missed) == (minutes(60, 0), 7)
    assert decision.last_missed == START - timedelta(hours=2)


def test_what_is_older_than_the_window_is_never_caught_up() -> None:
    one = hourly(catch_up=CatchUp.ALL, catch_up_window_s=2 * 3600)
    decision = decided(one, timedelta(hours=9, minutes=1), START + timedelta(minutes=2))
    assert (decision.fire, decision.missed) == (minutes(60, 0), 7)
    last = hourly(catch_up_window_s=1800)
    assert decided(last, timedelta(hours=9), START - timedelta(minutes=2)).fire == []


def test_nor_is_what_is_older_than_ids_are_remembered() -> None:
    one = hourly(catch_up=CatchUp.ALL)
    now = START + timedelta(minutes=2)
    decision = decide(one, now - timedelta(hours=9), now, now, memory_s=2 * 3600)
    assert decision.fire == minutes(60, 0)


def test_months_of_missed_ticks_are_counted_up_to_a_number() -> None:
    decision = decided(schedule(), timedelta(days=90), START + timedelta(seconds=1))
    assert decision.fire == [START]
    assert decision.missed == COUNTED


def test_jitter_moves_when_a_tick_is_due_but_not_the_tick() -> None:
    one = schedule("spread", "0 12 * * *", jitter_s=600)
    due = one.plan.due("spread", START)
    assert START < due < START + timedelta(minutes=10)
    day = timedelta(hours=1)
    assert decided(one, day, due - timedelta(seconds=2)).fire == []
    assert decided(one, day, due).fire == [START]
    # Long after its tick, and yet in time.
    assert decided(one, day, due + timedelta(seconds=50)).missed == 0


def test_a_schedule_of_one_moment_is_caught_up_once() -> None:
    once = schedule("once", START)
    decision = decided(once, timedelta(hours=1), START + timedelta(minutes=10))
    assert decision == Decision([START], 0, None, START)
    assert decide(once, START, START, START, WEEK_S).done is None


def test_what_passed_while_it_was_not_to_fire_is_counted() -> None:
    passed = left_out(schedule(), START, START + timedelta(minutes=10, seconds=30))
    assert (passed.fire, passed.missed) == ([], 10)
    assert passed.last_missed == START + timedelta(minutes=10)
    assert left_out(schedule(), START, START + timedelta(seconds=30)).last_missed is None
