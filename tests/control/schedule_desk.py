"""What the tests of schedules over HTTP share: an API without the schedules of others, and words for it."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import delete

from database.engine import write_session
from database.models import ScheduleTick
from database.operator_actions import OperatorActions
from database.schedule_history import TickRow
from scheduling.book import Book, State

SYNC = {"userId": "u1", "accountId": "a1"}
BERLIN = "Europe/Berlin"
NINE = {"actor": "email_sync", "cron": "0 9 * * mon-fri", "timezone": BERLIN, "args": SYNC}
URL = "/api/v1/schedules"


@pytest.fixture
def api(api, served):
    """Without the schedules that other tests have left."""
    book = Book(served[0])
    for entry in book.entries():
        if entry.editable:
            book.delete(entry.name, "test")
        elif entry.state is State.PAUSED:
            book.resume(entry.name, "test")
    with write_session(served[0].engine()) as session:
        session.execute(delete(ScheduleTick))
    return api


@pytest.fixture
def app(served):
    return served[0]


def create(api, name="mail", **more):
    return api.post(URL, json={"name": name, **NINE, **more})


def acts(app):
    """What the audit says was done, the oldest first, with whom and what."""
    rows = OperatorActions(app.engine()).read()
    return [(row.operator, row.action, row.target, row.failed) for row in reversed(rows)]


def tick_row(schedule, minute, at=None):
    tick = at or datetime(2026, 3, 1, 8, minute, tzinfo=UTC)
    return TickRow(schedule, "tick", tick, tick, "enqueued", f"cron:{schedule}:{minute}", tick, 40)
