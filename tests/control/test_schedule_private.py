"""A schedule of an actor with private parameters: it runs with them, and nobody sees them."""

import logging
from pathlib import Path
from typing import Annotated

import dramatiq
import pytest
from sqlalchemy import text

from actors.composition import App
from control.service import ScheduleActions, Schedules
from control.service.schedule_requests import NewScheduleRequest, ScheduleChanges
from database.engine import read_session
from database.migrations import migrate
from jobs.errors import InvalidPayload, InvalidSchedule
from jobs.marks import Secret
from jobs.memory import MemoryStore
from tests.control.board import small_app
from tests.sealed import KEYS

CARD = "4111-1111-hunter2"
MONTHLY = {"name": "bill", "actor": "card_charge", "cron": "@monthly", "tenant_id": "acme"}


def card_charge(card: Annotated[str, Secret], cents: int) -> None:
    """Take money."""


def plain_charge(card: str, cents: int) -> None:
    """Without a mark."""


@pytest.fixture
def app(tmp_path: Path) -> App:
    app = small_app(MemoryStore(), tmp_path, keys=KEYS)
    for function in (card_charge, plain_charge):
        dramatiq.actor(function, queue_name="charge", broker=app.broker)
    migrate(app.engine())
    yield app
    app.engine().dispose()


@pytest.fixture
def verbs(app: App) -> ScheduleActions:
    verbs = ScheduleActions(app, "ann")
    verbs.create(NewScheduleRequest(**MONTHLY, args={"card": CARD, "cents": 250}))
    return verbs


def test_the_value_is_in_no_answer_no_table_and_no_log(app, verbs, caplog) -> None:
    with caplog.at_level(logging.DEBUG):
        view = verbs.change("bill", ScheduleChanges(description="each month"))
        verbs.run("bill")

    assert view.args == {"card": "[private]", "cents": 250}
    assert CARD not in str(Schedules(app).page().to_json()) + caplog.text
    with read_session(app.engine()) as session:
        for table in ("schedules", "schedule_ticks", "operator_actions"):
            rows = session.execute(text(f"SELECT * FROM {table}")).all()
            assert rows
            assert CARD not in str(rows)


def test_a_job_has_it_also_after_an_edit_that_does_not_name_it(app, verbs) -> None:
    verbs.change("bill", ScheduleChanges(cron="0 8 1 * *"))

    job = app.store.get(verbs.run("bill").job_id)

    assert app.broker.decode(job).kwargs == {"card": CARD, "cents": 250}


def test_it_stays_hidden_when_its_actor_is_gone(app, verbs) -> None:
    del app.broker.actors["card_charge"]

    view = Schedules(app).get("bill")

    assert view.args == {"card": "[private]", "cents": "[private]"}
    assert view.state == "flawed"
    assert "card_charge" in view.reason


def test_it_cannot_be_carried_over_to_an_actor_that_shows_it(verbs) -> None:
    with pytest.raises(InvalidPayload, match="give them anew"):
        verbs.change("bill", ScheduleChanges(actor="plain_charge"))


def test_a_refusal_of_its_braces_does_not_repeat_it(verbs) -> None:
    request = NewScheduleRequest(**{**MONTHLY, "name": "other"}, args={"card": "{" + CARD + "}", "cents": 1})

    with pytest.raises(InvalidSchedule, match="args have braces in card") as refusal:
        verbs.create(request)

    assert CARD not in str(refusal.value)
