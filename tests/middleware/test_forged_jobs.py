"""What somebody else has put on the server does not run: a real server, a real worker."""

import time
from collections.abc import Callable
from typing import Any

import dramatiq
import orjson
import pytest

from actors.composition import App
from actors.declare import actor
from control.service import JobActions
from jobs.model import Job, NewJob
from jobs.states import JobState
from tests.fundamentals.stage import StartWorker
from tests.middleware.transfers import rows, settled, stored
from tests.sealed import signed
from tests.waiting import eventually


@pytest.fixture
def refund(real_app: App, ran: list[str]) -> "dramatiq.Actor[..., Any]":
    @actor(queue="refund", attempts=1)
    def refund(account: str, amount: int) -> int:
        ran.append(f"refund {account}")
        return amount

    return refund


def unsigned(app: App, genuine: Job) -> NewJob:
    payload = orjson.dumps([[], {"account": "mallory", "amount": 1}, {}, 1])
    return NewJob("forged", "transfer", "transfer", payload)


def altered(app: App, genuine: Job) -> NewJob:
    return NewJob("forged", "transfer", "transfer", genuine.payload.replace(b"alice", b"malle"))


def of_another_id(app: App, genuine: Job) -> NewJob:
    return NewJob("forged", "transfer", "transfer", genuine.payload)


def of_another_tenant(app: App, genuine: Job) -> NewJob:
    app.store.remove([genuine.id])
    return NewJob("forged", "transfer", "transfer", genuine.payload, lane="globex")


def of_another_actor(app: App, genuine: Job) -> NewJob:
    return NewJob("forged", "transfer", "refund", genuine.payload)


def of_another_queue(app: App, genuine: Job) -> NewJob:
    return NewJob("forged", "refund", "transfer", genuine.payload)


FORGERIES = (unsigned, altered, of_another_id, of_another_tenant, of_another_actor, of_another_queue)


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_a_forged_message_does_not_run_is_dead_lettered_and_told_of(
    forge: Callable[[App, Job], NewJob],
    real_app: App,
    transfer: "dramatiq.Actor[..., Any]",
    refund: "dramatiq.Actor[..., Any]",
    running_worker: StartWorker,
    ran: list[str],
) -> None:
    sent = transfer.send_with_options(args=("alice", 10), delay=3_600_000, job_id="real", tenant_id="acme")
    forged = forge(real_app, stored(real_app, sent.message_id))
    real_app.store.enqueue([forged])

    running_worker()
    job = settled(real_app, "forged")

    assert job.state is JobState.FAILED
    assert orjson.loads(job.record or b"")["error"]["type"] == "ForgedMessage"
    assert ran == []
    assert sum(real_app.broker.codec.refused.values()) == 1
    told = eventually(lambda: rows(real_app, "error_type, error_code, outcome"))
    assert told == [("ForgedMessage", "forged", "failed")]
    (answer,) = JobActions(real_app, "test").retry(["forged"])
    assert (answer.done, "never run" in answer.message) == (False, True)


def test_a_message_that_was_sealed_long_before_or_after_its_job_was_made_does_not_run(
    real_app: App, transfer: "dramatiq.Actor[..., Any]", running_worker: StartWorker, ran: list[str]
) -> None:
    minute = 60_000
    for name, age in (("old", 11 * minute), ("future", -11 * minute), ("slow-clock", 9 * minute)):
        payload = orjson.dumps([[], {"account": name, "amount": 1}, {}, 1])
        sealed_at = time.time_ns() // 1_000_000 - age
        real_app.store.enqueue([signed(NewJob(name, "transfer", "transfer", payload), sealed_at)])
    running_worker()

    states = {name: settled(real_app, name).state for name in ("old", "future", "slow-clock")}

    assert states == {
        "old": JobState.FAILED,
        "future": JobState.FAILED,
        "slow-clock": JobState.COMPLETED,
    }
    assert ran == ["slow-clock"]


def test_an_id_that_was_settled_and_removed_is_not_accepted_again(
    real_app: App, transfer: "dramatiq.Actor[..., Any]", running_worker: StartWorker, ran: list[str]
) -> None:
    once = signed(NewJob("once", "transfer", "transfer", b'[[],{"account":"alice","amount":1},{},1]'))
    real_app.store.enqueue([once])
    running_worker()
    settled(real_app, "once")

    assert not real_app.store.enqueue([once])[0].created
    real_app.store.remove(["once"])
    assert not real_app.store.enqueue([once])[0].created
    assert ran == ["alice"]
