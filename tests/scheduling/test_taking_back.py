"""What was handed over a moment early is taken back when its schedule is paused, changed or deleted."""

from datetime import timedelta

import pytest

from actors.composition import App
from database.schedule_history import ScheduleHistory
from database.schedules import Schedules
from jobs.errors import StoreUnavailable
from jobs.ids import scoped_id
from jobs.schedules import CatchUp, tick_id
from jobs.states import JobState
from scheduling.book import Book
from tests.scheduling.stage import START, Clock, Scheduler, Store, schedule

MINUTE = timedelta(minutes=1)
TICK = START + MINUTE
JOB = tick_id("nightly", TICK)


@pytest.fixture
def ready(book: Book, scheduler: Scheduler, clock: Clock, store: Store) -> Scheduler:
    """A leader that has handed over the job of a tick that is half a second away."""
    book.add(schedule(args={"kind": "old"}, catch_up=CatchUp.ALL), "ada")
    scheduler.turn()
    clock.pass_(seconds=59.5)
    scheduler.turn()
    assert [job.state for job in store.jobs()] == [JobState.DELAYED]
    return scheduler


def outcomes(history: ScheduleHistory) -> list[tuple[str, str]]:
    return [(row.outcome, row.note) for row in history.of("nightly") if row.kind == "tick"]


def test_a_pause_takes_it_back_at_once(
    ready: Scheduler, book: Book, clock: Clock, store: Store, history: ScheduleHistory
) -> None:
    book.pause("nightly", "ada")
    assert store.jobs() == []
    assert outcomes(history) == [("taken_back", "paused by ada")]
    clock.pass_(minutes=5)
    ready.turn()
    assert store.jobs() == []


def test_resumed_in_time_it_is_handed_over_again(
    ready: Scheduler, book: Book, clock: Clock, store: Store, history: ScheduleHistory
) -> None:
    book.pause("nightly", "ada")
    ready.turn()
    clock.pass_(seconds=0.2)
    book.resume("nightly", "ada")
    ready.turn()
    assert [job.id for job in store.jobs()] == [JOB]
    assert outcomes(history) == [("enqueued", "")]


def test_after_an_edit_it_runs_once_with_the_new_arguments(
    ready: Scheduler, book: Book, clock: Clock, store: Store, history: ScheduleHistory
) -> None:
    book.replace(schedule(args={"kind": "new"}), "ada")
    assert outcomes(history) == [("taken_back", "changed by ada")]
    ready.turn()
    clock.pass_(seconds=2)
    ready.turn()
    (job,) = store.jobs()
    assert (job.id, b"new" in job.payload) == (JOB, True)
    assert outcomes(history) == [("enqueued", "")]


def test_another_timing_leaves_nothing_of_the_old_one(
    ready: Scheduler, book: Book, clock: Clock, store: Store
) -> None:
    book.replace(schedule(timing="2 * * * *"), "ada")
    clock.pass_(minutes=3)
    ready.turn()
    assert [job.id for job in store.jobs()] == [tick_id("nightly", START + 2 * MINUTE)]


def test_deleted_and_made_anew_it_runs_as_the_new_one(
    ready: Scheduler, book: Book, clock: Clock, store: Store, history: ScheduleHistory
) -> None:
    book.delete("nightly", "ada")
    assert outcomes(history) == [("taken_back", "deleted by ada")]
    book.add(schedule(args={"kind": "new"}), "ada")
    clock.pass_(seconds=1)
    ready.turn()
    (job,) = store.jobs()
    assert (job.id, b"new" in job.payload) == (JOB, True)


def test_one_that_has_begun_stays_and_has_no_second(
    ready: Scheduler, book: Book, clock: Clock, store: Store, history: ScheduleHistory
) -> None:
    store.promote([JOB])  # or by a worker whose clock, or store's clock, is before ours
    assert store.begin() == JOB
    book.replace(schedule(args={"kind": "new"}), "ada")
    ready.turn()
    store.end()
    clock.pass_(seconds=1)
    ready.turn()
    assert store.created == [JOB]
    assert [outcome for outcome, _ in outcomes(history)] == ["enqueued"]


def test_a_leader_that_did_not_know_takes_back_what_it_handed_over_since(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store, rows: Schedules, history: ScheduleHistory
) -> None:
    book.add(schedule(), "ada")
    scheduler.turn()
    clock.pass_(seconds=59.2)
    scheduler.look()
    book.pause("nightly", "ada")
    scheduler.step()  # it has not looked yet
    assert [job.id for job in store.jobs()] == [JOB]
    row = rows.get("nightly")
    assert row is not None
    assert row.cursor < TICK  # it must not move what somebody has changed
    scheduler.turn()
    assert store.jobs() == []
    assert outcomes(history) == [("taken_back", "paused by ada")]
    book.resume("nightly", "ada")
    scheduler.turn()
    assert [job.id for job in store.jobs()] == [JOB]


def test_a_leader_killed_before_it_stored_that_it_handed_over_leaves_nothing_behind(
    app: App, book: Book, clock: Clock, store: Store
) -> None:
    from scheduling.firing import fire

    one = schedule(options={"tenant_id": "acme"})
    book.add(one, "ada")
    clock.pass_(seconds=51)
    fire(app, one, TICK, clock())
    assert [job.id for job in store.jobs()] == [scoped_id("acme", JOB)]
    book.pause("nightly", "ada")
    assert store.jobs() == []


def test_jitter_counts(book: Book, scheduler: Scheduler, clock: Clock, store: Store) -> None:
    one = schedule(jitter_s=30)
    book.add(one, "ada")
    clock.now = one.plan.due("nightly", TICK) - timedelta(seconds=0.5)
    assert clock() > TICK
    scheduler.turn()
    assert [job.state for job in store.jobs()] == [JobState.DELAYED]
    book.pause("nightly", "ada")
    assert store.jobs() == []
    book.resume("nightly", "ada")
    scheduler.turn()
    assert store.jobs() == []  # resumed after the tick: it begins with the next one


def test_without_a_job_store_a_pause_holds_all_the_same(
    ready: Scheduler,
    book: Book,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def away(job_ids: object) -> list[bool]:
        raise StoreUnavailable("The job store is away.")

    monkeypatch.setattr(store, "withdraw", away)
    assert book.pause("nightly", "ada")
    assert book.entry("nightly").state == "paused"
    assert "may run all the same: The job store is away." in caplog.text
    monkeypatch.undo()
    ready.turn()  # the leader does it when it sees the pause
    assert store.jobs() == []
