"""After a downtime with many schedules what is on time comes first, and what was missed after it."""

from datetime import timedelta

import pytest

from actors.composition import App
from database.schedule_history import ScheduleHistory
from database.schedules import Schedules
from jobs.schedules import CatchUp, Overlap, tick_id
from scheduling import rounds
from scheduling.book import Book
from tests.scheduling.stage import START, Clock, Scheduler, Store, schedule

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
NOW = START + DAY


@pytest.fixture(autouse=True)
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each number of schedules is many."""
    monkeypatch.setattr(rounds, "FEW", 0)


def one_step(app: App, clock: Clock, name: str = "a") -> Scheduler:
    """A scheduler after its first step, in which there was no time to look back."""
    scheduler = Scheduler(app, clock, name)
    scheduler.look()
    scheduler.engine.step(scheduler.leader.token)
    return scheduler


def test_on_time_ones_are_fired_first_and_the_others_as_the_policy_says(
    monkeypatch: pytest.MonkeyPatch,
    app: App,
    book: Book,
    clock: Clock,
    store: Store,
    history: ScheduleHistory,
    rows: Schedules,
) -> None:
    for policy in CatchUp:
        book.add(schedule(policy.value, "0 * * * *", catch_up=policy), "ada")
        book.add(schedule(f"{policy.value}-each", catch_up=policy, catch_up_max=3), "ada")
    clock.now = NOW + timedelta(seconds=30)
    with monkeypatch.context() as hurry:
        hurry.setattr(rounds, "LOOK_BACK_S", -1.0)
        scheduler = one_step(app, clock)
        on_time = {tick_id(name, NOW) for name in ("all", "last", "skip")}
        on_time |= {tick_id(f"{policy.value}-each", NOW) for policy in CatchUp}
        assert set(store.sent) == on_time
        assert {row.cursor for row in rows.all()} == {START}  # the others are not done with
        clock.pass_(minutes=2)
        scheduler.look()
        scheduler.engine.step(scheduler.leader.token)
    scheduler.turn()

    each = [tick_id("all-each", NOW + n * MINUTE) for n in (-3, -2, -1, 0, 1, 2)]
    hourly = [tick_id("all", NOW - timedelta(hours=n)) for n in range(23, -1, -1)]
    assert sorted(job for job in store.created if ":all-each:" in job) == each
    assert sorted(job for job in store.created if ":all:" in job) == hourly
    assert len(store.created) == len(set(store.created))
    assert [row.outcome for row in history.of("skip")] == ["enqueued", "skipped_missed"]
    assert [row.tick for row in history.of("skip")] == [NOW, NOW - timedelta(hours=1)]
    assert [row.count for row in history.of("last")] == [1, 20]
    assert {row.outcome for row in history.of("last-each", 3)} == {"enqueued"}
    done = {row.name: row.cursor for row in rows.all()}
    assert done["all-each"] == done["skip-each"] == NOW + 2 * MINUTE
    assert scheduler.step() is not None
    assert len(store.sent) == len(store.created)


def test_killed_in_between_it_fires_no_tick_twice_and_loses_none(
    monkeypatch: pytest.MonkeyPatch, app: App, book: Book, clock: Clock, store: Store
) -> None:
    book.add(schedule(timing="*/30 * * * *", catch_up=CatchUp.ALL), "ada")
    clock.now = NOW
    with monkeypatch.context() as hurry:
        hurry.setattr(rounds, "LOOK_BACK_S", -1.0)
        first = one_step(app, clock)
    assert store.created == [tick_id("nightly", NOW)]
    first.leader.release()
    clock.pass_(minutes=2)
    Scheduler(app, clock, "b").turn()
    assert sorted(store.created) == [tick_id("nightly", NOW - n * 30 * MINUTE) for n in range(47, -1, -1)]


def test_the_last_one_is_caught_up_when_nothing_was_on_time(
    app: App, book: Book, clock: Clock, store: Store, history: ScheduleHistory
) -> None:
    book.add(schedule(timing="0 */6 * * *"), "ada")
    book.add(schedule("weekly", "0 0 * * 0"), "ada")
    clock.now = NOW + 10 * MINUTE
    scheduler = Scheduler(app, clock)
    scheduler.turn()
    assert store.created == [tick_id("nightly", NOW)]
    assert [(row.kind, row.count) for row in history.of("nightly")] == [("tick", 1), ("missed", 3)]
    assert history.of("weekly") == []


def test_with_overlap_the_order_of_the_ticks_counts_more(
    app: App, book: Book, clock: Clock, store: Store
) -> None:
    book.add(schedule(overlap=Overlap.QUEUE, catch_up=CatchUp.ALL, catch_up_max=2), "ada")
    clock.now = NOW
    Scheduler(app, clock).turn()
    assert [job.id for job in store.jobs()] == [tick_id("nightly", NOW)]


def test_a_store_that_is_away_is_not_asked_again_and_again(
    app: App, book: Book, clock: Clock, store: Store
) -> None:
    book.add(schedule(timing="*/30 * * * *", catch_up=CatchUp.ALL), "ada")
    clock.now = NOW + 10 * MINUTE
    store.away = True
    scheduler = Scheduler(app, clock)
    again = scheduler.turn()
    assert again is not None
    assert again > clock()
    store.away = False
    clock.pass_(seconds=6)
    scheduler.turn()
    assert len(store.created) == 48


@pytest.mark.parametrize("policy", CatchUp)
def test_a_tick_that_waits_for_the_store_since_the_start_is_not_missed(
    app: App, book: Book, clock: Clock, store: Store, policy: CatchUp
) -> None:
    book.add(schedule(timing="0 12 * * *", catch_up=policy, catch_up_window_s=3_600), "ada")
    clock.now = NOW
    store.away = True
    scheduler = Scheduler(app, clock)
    for _ in range(60):
        scheduler.turn()
        clock.pass_(seconds=5)
    store.away = False
    clock.pass_(seconds=6)
    scheduler.turn()
    assert store.created == [tick_id("nightly", NOW)]
