"""What an operator sees of a job whose arguments are marked private."""

from pathlib import Path
from typing import Annotated

import dramatiq
import pytest

from actors.composition import App, compose
from control.service.jobs import JobService
from jobs.marks import PII, Secret
from jobs.memory import MemoryStore
from settings import Settings
from tests.control.board import small_app
from tests.sealed import KEYS
from tests.tables import give_tables


def card_charge(card: Annotated[str, Secret], mail: Annotated[str, PII], cents: int) -> None:
    """Take money."""


@pytest.mark.parametrize("by_place", [True, False])
def test_marked_arguments_are_shown_to_nobody(tmp_path: Path, by_place: bool) -> None:
    app = small_app(MemoryStore(), tmp_path)
    charge = dramatiq.actor(card_charge, queue_name="card-charge", broker=app.broker)
    given = ("4111", "ann@example.org", 250)
    message = charge.send(*given) if by_place else charge.send(card=given[0], mail=given[1], cents=given[2])
    view = JobService(app).get(message.message_id)
    assert view.data == {"card": "[private]", "mail": "[private]", "cents": 250}


def test_a_process_that_does_not_know_the_actor_shows_no_argument_of_an_encrypted_job(
    tmp_path: Path, redis_url: str, namespace: str
) -> None:
    def on_a_server() -> App:
        where = {"url": redis_url, "namespace": namespace}
        return compose(Settings.model_validate({"home": tmp_path, "redis": where, "keys": KEYS}))

    sender, other = on_a_server(), on_a_server()
    give_tables(sender.engine())
    charge = dramatiq.actor(card_charge, queue_name="card-charge", broker=sender.broker)
    message = charge.send(card="4111", mail="ann@example.org", cents=250)
    assert JobService(sender).get(message.message_id).data == {
        "card": "[private]",
        "mail": "[private]",
        "cents": 250,
    }
    assert set((JobService(other).get(message.message_id).data or {}).values()) == {"[private]"}
