"""A scheduler whose clock is wrong for a while, and what is left of that once it is right again."""

from datetime import datetime, timedelta

from actors.composition import App
from database.scheduler_lease import SchedulerLease
from database.schedules import Schedules
from jobs.schedules import tick_id
from scheduling.book import Book
from scheduling.leader import Leader
from tests.scheduling.stage import START, Clock, Scheduler, Store, schedule

DAY = timedelta(days=1)


def cursor_of(rows: Schedules, name: str = "nightly") -> datetime:
    row = rows.get(name)
    assert row is not None
    return row.cursor


def test_a_leader_whose_clock_jumps_and_is_put_right_goes_on(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store, rows: Schedules
) -> None:
    book.add(schedule(), "ada")
    scheduler.turn()
    clock.jump(days=1)
    scheduler.turn()
    assert cursor_of(rows) == START + DAY
    clock.jump(days=-1)
    scheduler.turn()
    store.created.clear()
    for _ in range(3):
        clock.pass_(minutes=1)
        scheduler.turn()
    assert store.created == [tick_id("nightly", START + timedelta(minutes=n)) for n in (1, 2, 3)]


def test_who_takes_over_from_a_host_with_a_fast_clock_goes_on_from_now(
    app: App, book: Book, clock: Clock, store: Store, rows: Schedules
) -> None:
    book.add(schedule(), "ada")
    clock.jump(days=1)
    fast = Scheduler(app, clock, "fast")
    fast.turn()
    fast.leader.release()
    clock.jump(days=-1)
    right = Scheduler(app, clock, "right")
    right.turn()
    assert cursor_of(rows) == START
    clock.pass_(minutes=1)
    right.turn()
    assert tick_id("nightly", START + timedelta(minutes=1)) in store.created


def test_resuming_takes_back_a_cursor_that_is_to_come(
    book: Book, rows: Schedules, scheduler: Scheduler, clock: Clock
) -> None:
    book.add(schedule(), "ada")
    rows.advance(scheduler.leader.token or 0, {"nightly": START + DAY}, [])
    book.pause("nightly", "ada")
    book.resume("nightly", "ada")
    assert cursor_of(rows) == START


def test_resuming_leaves_what_was_handed_over_a_moment_early(
    book: Book, rows: Schedules, scheduler: Scheduler
) -> None:
    book.add(schedule(), "ada")
    rows.advance(scheduler.leader.token or 0, {"nightly": START + timedelta(seconds=9)}, [])
    book.pause("nightly", "ada")
    book.resume("nightly", "ada")
    assert cursor_of(rows) == START + timedelta(seconds=9)


def test_a_host_that_is_fast_goes_by_the_time_of_the_database(app: App, clock: Clock) -> None:
    here = Clock(START + timedelta(hours=1))
    leader = Leader(SchedulerLease(app.engine(), clock=clock), "fast", clock=clock.steady, wall=here)
    leader.look()
    assert leader.now() == START
    here.now = START + timedelta(seconds=1)
    leader.look()
    assert leader.now() == START + timedelta(seconds=1)  # so little need not be the clock's fault
    here.now = START - timedelta(hours=1)
    leader.look()
    assert leader.now() == here()


def test_steps_after_a_removal_read_the_names_once(
    book: Book, rows: Schedules, scheduler: Scheduler, clock: Clock
) -> None:
    book.add(schedule(), "ada")
    book.add(schedule("other"), "ada")
    scheduler.turn()
    before = rows.changed_since(-1).number
    book.delete("other", "ada")
    seen = rows.changed_since(before)
    assert (seen.rows, seen.names, seen.number) == ([], {"nightly"}, before + 1)
    assert seen.number == scheduler.lease.standing().changes


def test_a_leader_pulls_back_a_cursor_that_is_to_come_once_somebody_changes_the_schedule(
    book: Book, rows: Schedules, scheduler: Scheduler, clock: Clock, store: Store
) -> None:
    book.add(schedule(), "ada")
    scheduler.turn()
    rows.edit("nightly", {"cursor": START + DAY}, "a host with a fast clock", at=START)
    scheduler.turn()
    assert cursor_of(rows) == START
    clock.pass_(minutes=1)
    scheduler.turn()
    assert store.created == [tick_id("nightly", START + timedelta(minutes=1))]
