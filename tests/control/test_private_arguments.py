"""What an operator sees of a job whose arguments are marked private."""

from pathlib import Path
from typing import Annotated

import dramatiq
import pytest

from control.service.jobs import JobService
from jobs.marks import PII, Secret
from jobs.memory import MemoryStore
from tests.control.board import small_app


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
