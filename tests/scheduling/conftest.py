"""An application with its jobs in memory and its database in a SQLite file, under a clock of the test's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.composition import App
from database.schedule_history import ScheduleHistory
from database.schedules import Schedules
from scheduling.book import Book
from tests.fundamentals.stage import home
from tests.scheduling.stage import Clock, LockedFile, Scheduler, Store, make_app

__all__ = ["home"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Store:
    return Store(clock)


@pytest.fixture
def app(home: Path, store: Store) -> Iterator[App]:
    with make_app(home, store) as app:
        yield app


@pytest.fixture
def locked(home: Path, app: App) -> Iterator[LockedFile]:
    """Takes the database away: while it is locked nobody writes."""
    with LockedFile(app.settings.database_url) as locked:
        yield locked


@pytest.fixture
def book(app: App, clock: Clock) -> Book:
    return Book(app, clock)


@pytest.fixture
def rows(app: App) -> Schedules:
    return Schedules(app.engine())


@pytest.fixture
def history(app: App) -> ScheduleHistory:
    return ScheduleHistory(app.engine())


@pytest.fixture
def scheduler(app: App, clock: Clock) -> Scheduler:
    """One that leads."""
    scheduler = Scheduler(app, clock)
    scheduler.turn()
    return scheduler
