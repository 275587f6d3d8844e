"""The name of a step may say what a private job found out by itself: our own errors leave it out then."""

import asyncio
import logging
from collections.abc import Callable
from typing import Annotated, Any

import pytest

from actors.composition import App
from actors.declare import actor
from jobs.marks import Secret
from jobs.states import JobState
from middleware.steps import MAX_OUTCOME, effect, step
from tests.broker.workers import state_of
from tests.fundamentals.stage import StartWorker
from tests.waiting import eventually

NAME = "welcome Ada Lovelace"


def twice() -> None:
    step(NAME, lambda: 1)
    step(NAME, lambda: 1)


def too_large() -> None:
    step(NAME, lambda: "x" * MAX_OUTCOME)


def not_what_it_says() -> None:
    def one() -> int:
        return "one"  # type: ignore[return-value]

    step(NAME, one)


def to_be_awaited() -> None:
    async def one() -> int:
        return 1

    step(NAME, lambda: one())  # type: ignore[unused-coroutine]


def on_the_loop() -> None:
    async def run() -> None:
        step(NAME, lambda: 1)

    asyncio.run(run())


def as_an_effect_on_the_loop() -> None:
    async def run() -> None:
        effect(NAME, None, lambda intent: 1, lambda intent: 1)

    asyncio.run(run())


def without_a_job() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        pool.submit(step, NAME, lambda: 1).result()


def half_async() -> None:
    async def do(intent: Any) -> int:
        return 1

    effect(NAME, None, do, lambda intent: 1)


WAYS = [twice, too_large, not_what_it_says, to_be_awaited, on_the_loop, as_an_effect_on_the_loop]


@pytest.mark.parametrize("way", [*WAYS, without_a_job, half_async])
def test_an_error_of_a_private_job_names_no_step(
    real_app: App, running_worker: StartWorker, caplog: pytest.LogCaptureFixture, way: Callable[[], None]
) -> None:
    caplog.set_level(logging.DEBUG)

    @actor(attempts=1)
    def private(key: Annotated[str, Secret]) -> None:
        way()

    running_worker()
    message = private.send("k-1")
    eventually(lambda: state_of(real_app.store, message.message_id) is JobState.FAILED, timeout=20)
    job = real_app.store.get(message.message_id)
    assert job is not None
    assert b'"StepError"' in (job.record or b"")
    assert NAME.encode() not in (job.record or b"")
    assert NAME not in caplog.text


@pytest.mark.parametrize("way", WAYS)
def test_that_of_another_job_names_it(
    real_app: App, running_worker: StartWorker, way: Callable[[], None]
) -> None:
    @actor(attempts=1)
    def plain() -> None:
        way()

    running_worker()
    message = plain.send()
    eventually(lambda: state_of(real_app.store, message.message_id) is JobState.FAILED, timeout=20)
    job = real_app.store.get(message.message_id)
    assert job is not None
    assert NAME.encode() in (job.record or b"")


def test_a_name_that_changed_its_kind_is_not_told(real_app: App, running_worker: StartWorker) -> None:
    runs = list[str]()

    @actor(attempts=2, backoff={"delay": 10})
    def private(key: Annotated[str, Secret]) -> None:
        runs.append("")
        if len(runs) == 1:
            step(NAME, lambda: 1)
            raise ConnectionError
        effect(NAME, None, lambda intent: 1, lambda intent: 1)

    running_worker()
    message = private.send("k-1")
    eventually(lambda: state_of(real_app.store, message.message_id) is JobState.FAILED, timeout=20)
    job = real_app.store.get(message.message_id)
    assert job is not None
    assert b"was stored as a step and is used as a effect now" in (job.record or b"")
    assert NAME.encode() not in (job.record or b"")
