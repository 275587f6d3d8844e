"""The steps of the engine on SQLite and on PostgreSQL: what is fired, stored, taken back and fenced off."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from actors.composition import App
from database.engine import make_engine
from database.schedule_history import ScheduleHistory
from database.schedules import Schedules
from jobs.schedules import CatchUp, tick_id
from scheduling.book import Book
from tests.postgres import postgres_database, postgres_server, postgres_url
from tests.scheduling.stage import START, Clock, Scheduler, Store, make_app, schedule
from tests.tables import give_tables

__all__ = ["postgres_database", "postgres_server", "postgres_url"]

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def app(request: pytest.FixtureRequest, home: Path, store: Store) -> Iterator[App]:
    with make_app(home, store) as app:
        app.engine().dispose()  # which gives up soon
        app._engine = make_engine(app.settings.database_url)
        if request.param == "postgres":
            app._engine = give_tables(make_engine(request.getfixturevalue("postgres_database")))
        yield app


def cursor_of(rows: Schedules) -> datetime:
    (row,) = rows.all()
    return row.cursor


def test_ticks_are_fired_and_stored_and_a_pause_takes_back_what_was_early(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store, rows: Schedules, history: ScheduleHistory
) -> None:
    book.add(schedule(catch_up=CatchUp.ALL), "ada")
    scheduler.turn()
    for _ in range(2):
        clock.pass_(minutes=1)
        scheduler.turn()
    assert cursor_of(rows) == START + 2 * MINUTE
    clock.pass_(seconds=59.5)
    scheduler.turn()
    assert cursor_of(rows) == START + 3 * MINUTE
    book.pause("nightly", "ada")
    assert cursor_of(rows) < START + 3 * MINUTE
    scheduler.turn()
    book.resume("nightly", "ada")
    scheduler.turn()
    assert [job.id for job in store.jobs()] == [tick_id("nightly", START + n * MINUTE) for n in (1, 2, 3)]
    assert [row.outcome for row in history.of("nightly")] == ["enqueued"] * 3


def test_after_a_downtime_the_next_one_goes_on_and_the_frozen_one_moves_nothing(
    app: App, book: Book, clock: Clock, store: Store, rows: Schedules, history: ScheduleHistory
) -> None:
    book.add(schedule(timing="*/10 * * * *"), "ada")
    frozen = Scheduler(app, clock, "frozen")
    frozen.turn()
    frozen.lease.release(frozen.leader.token or 0)  # as if its time were over
    clock.pass_(hours=1)
    other = Scheduler(app, clock, "other")
    other.turn()
    assert store.created == [tick_id("nightly", START + 60 * MINUTE)]
    assert [row.count for row in history.of("nightly")] == [1, 5]

    clock.pass_(minutes=10)
    frozen.leader._renewed_at = clock.steady()  # it believes in its lease
    frozen.step()
    assert frozen.leader.token is None
    assert cursor_of(rows) == START + 60 * MINUTE
    other.turn()
    assert cursor_of(rows) == START + 70 * MINUTE
    assert len(store.created) == len(set(store.created)) == 2


def test_changes_and_cursors_at_the_same_time_do_not_lock_each_other_out(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store, rows: Schedules
) -> None:
    book.add(schedule(timing=1), "ada")
    scheduler.turn()
    failed: list[BaseException] = []

    def change() -> None:
        try:
            for _ in range(10):
                book.pause("nightly", "ada")
                book.resume("nightly", "ada")
        except BaseException as error:
            failed.append(error)

    person = threading.Thread(target=change)
    person.start()
    while person.is_alive():
        clock.pass_(seconds=1)
        scheduler.turn()
    person.join()
    assert failed == []
    scheduler.turn()
    clock.pass_(seconds=1)
    scheduler.turn()
    assert len(store.created) >= 1
    there = [job.id for job in store.jobs()]
    assert len(there) == len(set(there))
    assert tick_id("nightly", clock()) in there


def test_what_people_change_goes_by_the_clock_that_ticks_go_by(
    monkeypatch: pytest.MonkeyPatch, app: App, rows: Schedules
) -> None:
    class Fast(datetime):
        """The clock of a host that is a day ahead."""

        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + DAY

    monkeypatch.setattr("database.scheduler_lease.datetime", Fast)
    before = datetime.now(UTC)
    Book(app).add(schedule(), "ada")
    ahead = cursor_of(rows) - before
    # PostgreSQL has a clock of its own; a SQLite file is on the host whose clock it is.
    if app.engine().dialect.name == "postgresql":
        assert abs(ahead) < timedelta(minutes=1)
    else:
        assert ahead >= DAY
