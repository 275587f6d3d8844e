"""The reason of a held job lies in clear where others see it: it quotes no argument."""

import logging
from typing import Annotated

import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from broker.worker.verdicts import UNTOLD
from jobs.errors import HoldJob
from jobs.marks import Secret
from tests.clear_text import keys_with
from tests.fundamentals.stage import StartWorker
from tests.middleware.steps import job_of
from tests.waiting import eventually

CARD = "hunter2-4111111111111111"


@pytest.mark.parametrize("rests", ["job", "lane", "queue"])
def test_values_are_taken_out_of_the_reason(
    jobs: FakeJobs, caplog: pytest.LogCaptureFixture, rests: str
) -> None:
    @actor(queue="held")
    def charge(card: str) -> None:
        raise HoldJob(60, f"waiting for {card}", rests=rests)

    message = charge.send(CARD)
    jobs.run_all()
    standing = jobs.store.standing(message.message_id)
    assert standing is not None
    assert standing.rest_reason == "waiting for [argument]"
    assert CARD not in caplog.text + job_of(jobs, message).held_reason


@pytest.mark.parametrize("rests", ["job", "lane", "queue"])
def test_of_an_encrypted_job_the_reason_is_a_fixed_sentence(
    real_app: App,
    running_worker: StartWorker,
    caplog: pytest.LogCaptureFixture,
    rests: str,
) -> None:
    caplog.set_level(logging.INFO)

    @actor(queue="held")
    def charge(card: Annotated[str, Secret]) -> None:
        raise HoldJob(300, f"the bank of {card[:4]} is closed", rests=rests)

    charge.send_with_options(args=(CARD,), tenant_id="acme")
    running_worker()
    eventually(lambda: keys_with(real_app, UNTOLD) != [])
    eventually(lambda: UNTOLD in caplog.text)
    assert "bank of" not in caplog.text
    assert keys_with(real_app, "bank of") == []
