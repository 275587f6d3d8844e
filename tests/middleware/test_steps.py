"""A step is done once for its job, however often the job is tried."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from jobs.errors import JobCancelled, LeaseLost, StoreUnavailable
from jobs.states import JobState
from middleware import steps
from middleware.current import running
from middleware.steps import effect, step
from tests.broker.workers import state_of
from tests.middleware.deeds import AT_ONCE, Deeds
from tests.middleware.steps import error_of, job_of
from tests.waiting import eventually


def test_a_retry_goes_on_after_the_last_finished_step(jobs: FakeJobs) -> None:
    do, seen = Deeds("charge"), list[str]()

    @actor(backoff=AT_ONCE)
    def order() -> None:
        seen.append(step("reserve", do, "reserve"))
        seen.append(step("charge", do, "charge"))
        seen.append(step("ship", do, what="ship"))

    message = order.send()
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.COMPLETED
    assert do.done == ["reserve", "charge", "ship"]
    assert seen == ["reserve done", "reserve done", "charge done", "ship done"]


def test_a_coroutine_has_steps_that_are_awaited(jobs: FakeJobs) -> None:
    do = Deeds("b")

    async def later(what: str) -> str:
        await asyncio.sleep(0)
        return do(what)

    @actor(backoff=AT_ONCE)
    async def order() -> list[str]:
        first = await step("a", later, "a")
        both = await asyncio.gather(step("b", later, "b"), step("c", later, "c"))
        return [first, *both]

    message = order.send()
    jobs.run_all()
    assert sorted(do.done) == ["a", "b", "c"]
    assert job_of(jobs, message).record == b'{"result":["a done","b done","c done"]}'


def test_an_attempt_ends_when_the_steps_that_its_coroutine_left_behind_have(jobs: FakeJobs) -> None:
    """`gather` raises what the first of them raised, while the others go on."""
    do = Deeds("quick")

    async def quick() -> str:
        return do("quick")

    async def slow() -> str:
        await asyncio.sleep(0.2)
        return do("slow")

    @actor(backoff=AT_ONCE)
    async def order() -> None:
        await asyncio.gather(step("quick", quick), step("slow", slow))

    message = order.send()
    jobs.run_all()
    assert do.done == ["slow", "quick"], "the retry found the outcome of the slow one"
    assert job_of(jobs, message).attempts == 2


def test_a_step_that_was_left_behind_does_not_begin_after_its_attempt(jobs: FakeJobs) -> None:
    do, later = Deeds(), list[tuple[asyncio.Task[Any], asyncio.Event, asyncio.AbstractEventLoop]]()

    async def bill() -> str:
        return do("bill")

    async def behind(attempt_is_over: asyncio.Event) -> None:
        await attempt_is_over.wait()
        await step("bill", bill)

    @actor
    async def order() -> None:
        over = asyncio.Event()
        later.append((asyncio.create_task(behind(over)), over, asyncio.get_running_loop()))
        await step("reserve", bill)

    order.send()
    jobs.run_all()
    ((task, over, loop),) = later
    loop.call_soon_threadsafe(over.set)
    eventually(task.done)
    with pytest.raises(LeaseLost, match="has ended"):
        task.result()
    assert do.done == ["bill"]


def test_a_step_that_was_left_behind_is_ended_by_the_time_limit(real_app: App, running_worker: Any) -> None:
    left = list[asyncio.Task[Any]]()

    async def endless() -> None:
        await asyncio.Event().wait()

    @actor(attempts=1, time_limit=1_000)
    async def order() -> str:
        left.append(asyncio.create_task(step("endless", endless)))
        await asyncio.sleep(0)
        return "done"

    running_worker()
    message = order.send()
    eventually(lambda: state_of(real_app.store, message.message_id) is JobState.COMPLETED)
    assert left[0].cancelled()


def test_a_replay_of_a_dead_letter_keeps_the_steps_unless_it_shall_not(jobs: FakeJobs) -> None:
    do = Deeds("second", "second")

    @actor(attempts=1)
    def order() -> None:
        step("first", do, "first")
        step("second", do, "second")

    message = order.send()
    jobs.run_all()
    for from_start, done in ((False, ["first"]), (True, ["first", "first", "second"])):
        assert jobs.store.retry_dead([message.message_id], from_start=from_start) == [True]
        jobs.run_all()
        assert do.done == done


@dataclass
class Account:
    name: str
    since: datetime


def test_an_outcome_has_the_type_that_its_function_names_in_every_run(jobs: FakeJobs) -> None:
    since, seen = datetime(2026, 3, 1, 8, tzinfo=UTC), list[Any]()

    def typed() -> tuple[Account, ...]:
        return (Account("acme", since),)

    def untyped():  # type: ignore[no-untyped-def]
        return (since, {"a": {1}})

    @actor(backoff=AT_ONCE, attempts=2)
    def order() -> None:
        seen.append((step("typed", typed), step("untyped", untyped), step("none", lambda: None)))
        raise ConnectionError

    order.send()
    jobs.run_all()
    assert seen == [((Account("acme", since),), ["2026-03-01T08:00:00+00:00", {"a": [1]}], None)] * 2


def test_a_name_can_be_used_once_in_a_run(jobs: FakeJobs) -> None:
    @actor
    def twice() -> None:
        for _ in range(2):
            step("same", lambda: 1)

    message = twice.send()
    jobs.run_all()
    error = error_of(jobs, message)
    assert (error["type"], job_of(jobs, message).attempts) == ("StepError", 1)
    assert "second step 'same' in one run" in error["message"]


@pytest.mark.parametrize("name", ["", "x" * 201, "line\nbreak", 7])
def test_a_name_is_a_short_text(jobs: FakeJobs, name: Any) -> None:
    @actor
    def named() -> None:
        step(name, lambda: 1)

    message = named.send()
    jobs.run_all()
    assert "1 to 200 printable characters" in error_of(jobs, message)["message"]


def test_an_outcome_that_is_too_large_is_refused_with_advice(
    jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "MAX_OF_JOB", 250_000)

    @actor
    def large(size: int, count: int) -> None:
        for n in range(count):
            step(f"part {n}", lambda: "x" * size)

    one, many = large.send(102_400, 1), large.send(90_000, 3)
    jobs.run_all()
    assert "store the data elsewhere and return where it is" in error_of(jobs, one)["message"]
    assert "part the work into several jobs" in error_of(jobs, many)["message"]
    assert list(jobs.store.steps(many.message_id)) == ["part 0", "part 1"]


@pytest.mark.parametrize("outcome", [object(), {1: 2}])
def test_what_json_cannot_hold_is_no_outcome(jobs: FakeJobs, outcome: object) -> None:
    @actor
    def odd() -> None:
        step("odd", lambda: outcome)

    message = odd.send()
    jobs.run_all()
    assert "has no JSON form" in error_of(jobs, message)["message"]
    assert job_of(jobs, message).attempts == 1


def test_an_outcome_of_another_type_than_promised_is_refused(jobs: FakeJobs) -> None:
    def count() -> int:
        return "secret words"  # type: ignore[return-value]

    @actor
    def lies() -> None:
        step("count", count)

    message = lies.send()
    jobs.run_all()
    text = error_of(jobs, message)["message"]
    assert "'count' is not what its function says" in text
    assert "secret" not in text


def test_a_coroutine_that_was_called_already_is_refused(jobs: FakeJobs) -> None:
    async def later() -> int:
        return 1

    @actor
    async def wrong() -> None:
        step("later", lambda: later())

    message = wrong.send()
    jobs.run_all()
    assert "give the `async def` function itself" in error_of(jobs, message)["message"]


def test_outside_a_job_a_step_is_a_plain_call() -> None:
    async def later(x: int) -> int:
        return x

    assert step("add", lambda x: x + 1, 1) == 2
    assert asyncio.run(_awaited(later)) == (3, "done")
    assert effect("mail", {"key": 1}, lambda intent: intent["key"], lambda intent: None) == 1


async def _awaited(later: Any) -> tuple[int, str]:
    async def do(intent: Any) -> str:
        return "done"

    async def probe(intent: Any) -> str | None:
        return None

    return await step("later", later, 3), await effect("mail", None, do, probe)


def test_a_step_waits_for_a_store_that_is_away_rather_than_lose_its_outcome(
    jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, away, do = jobs.store.save_step, [True, True], Deeds()

    def flaky(*args: Any, **kwargs: Any) -> bool:
        if away:
            away.pop()
            raise StoreUnavailable("away")
        return save(*args, **kwargs)

    monkeypatch.setattr(steps, "TRY_AGAIN_S", 0.01)
    monkeypatch.setattr(jobs.store, "save_step", flaky)

    @actor
    def order() -> None:
        step("once", do, "once")

    message = order.send()
    jobs.run_all()
    assert (job_of(jobs, message).attempts, do.done) == (1, ["once"])


def test_a_run_whose_lease_is_lost_ends_at_its_next_step(
    jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, do = list[BaseException](), Deeds()
    monkeypatch.setattr(jobs.store, "save_step", lambda *args, **kwargs: False)

    @actor(attempts=1)
    def order() -> None:
        try:
            step("one", do, "one")
        except Exception:
            do("went on")
        except LeaseLost as error:
            ended.append(error)
            raise

    message = order.send()
    jobs.run_all()
    assert len(ended) == 1
    assert do.done == ["one"]
    # Where the lease was there after all, the run is one that was cut short: no attempt, no failure.
    assert job_of(jobs, message).state is JobState.DELAYED
    assert job_of(jobs, message).attempts == 0


def test_a_job_that_shall_be_cancelled_begins_no_further_step(jobs: FakeJobs) -> None:
    do = Deeds()

    @actor
    def order() -> None:
        step("one", do, "one")
        job = running.get()
        assert job is not None
        job.cancelled, job.cancel_reason = True, "not needed"
        with pytest.raises(JobCancelled, match="not needed"):
            step("two", do, "two")
        step("two", do, "two")

    message = order.send()
    jobs.run_all()
    assert do.done == ["one"]
    assert job_of(jobs, message).state is JobState.CANCELLED
