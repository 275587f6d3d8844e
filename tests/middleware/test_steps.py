"""A step is done once for its job, however often the job is tried."""

import asyncio
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Annotated, Any

import pytest

from actors.composition import App
from actors.declare import actor
from actors.notes import JobNotes
from broker.testing import FakeJobs
from control.service import JobService
from control.service.keys import KeyActions
from jobs.errors import ForgedMessage, JobCancelled, LeaseLost, StoreUnavailable
from jobs.marks import Secret
from jobs.states import JobState
from middleware import steps
from middleware.current import running
from middleware.job_log import job_log
from middleware.sealing.ring_file import Ring, new_key, read_ring, write_ring
from middleware.steps import OUTCOME, StepRun, effect, step
from tests.broker.workers import state_of
from tests.middleware.steps import error_of, job_of
from tests.waiting import eventually

AT_ONCE = {"delay": 0}


class Deeds:
    """What was done, in order; fails at what it is told to, once each."""

    def __init__(self, *failing: str) -> None:
        self.done: list[str] = []
        self._failing = list(failing)

    def __call__(self, what: str) -> str:
        if what in self._failing:
            self._failing.remove(what)
            raise ConnectionError(what)
        self.done.append(what)
        return f"{what} done"


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

    @actor(attempts=1, time_limit=300)
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
    assert "two steps named 'same'" in error["message"]


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


class Provider:
    """A payment provider: it books under a key, and can be asked. `breaks` decides when the caller fails."""

    def __init__(self, breaks: str = "") -> None:
        self.booked: dict[str, str] = {}
        self.calls: list[str] = []
        self._breaks = breaks

    def do(self, intent: dict[str, str]) -> str:
        self.calls.append("do")
        if self._breaks == "before":
            self._breaks = ""
            raise ConnectionError
        self.booked[intent["key"]] = f"receipt {len(self.booked) + 1}"
        if self._breaks == "after":
            self._breaks = ""
            raise ConnectionError
        return self.booked[intent["key"]]

    def probe(self, intent: dict[str, str]) -> str | None:
        self.calls.append("probe")
        return self.booked.get(intent["key"])


@pytest.mark.parametrize(
    ("breaks", "calls"),
    [("", ["do"]), ("before", ["do", "probe", "do"]), ("after", ["do", "probe"])],
)
def test_an_effect_asks_before_it_acts_again(jobs: FakeJobs, breaks: str, calls: list[str]) -> None:
    provider, keys, seen = Provider(breaks), iter("abc"), list[str]()

    @actor(backoff=AT_ONCE)
    def charge() -> None:
        seen.append(effect("charge", {"key": next(keys)}, provider.do, provider.probe))

    charge.send()
    jobs.run_all()
    assert provider.calls == calls
    assert provider.booked == {"a": "receipt 1"}, "every run has the intent of the first"
    assert seen == ["receipt 1"]


def test_an_effect_is_not_asked_again_once_its_outcome_is_known(jobs: FakeJobs) -> None:
    provider, fails = Provider(), [ConnectionError(), ConnectionError()]

    @actor(backoff=AT_ONCE, attempts=2)
    def charge() -> None:
        assert effect("charge", {"key": "k"}, provider.do, provider.probe) == "receipt 1"
        if fails:
            raise fails.pop()

    message = charge.send()
    jobs.run_all()
    jobs.store.retry_dead([message.message_id], from_start=True)
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.COMPLETED
    assert provider.calls == ["do"], "not in a replay from the start either"


def test_a_coroutine_has_effects_that_are_awaited(jobs: FakeJobs) -> None:
    provider = Provider("after")

    async def do(intent: dict[str, str]) -> str:
        return provider.do(intent)

    async def probe(intent: dict[str, str]) -> str | None:
        return provider.probe(intent)

    @actor(backoff=AT_ONCE)
    async def charge() -> str:
        return await effect("charge", {"key": "k"}, do, probe)

    message = charge.send()
    jobs.run_all()
    assert job_of(jobs, message).record == b'{"result":"receipt 1"}'
    assert provider.calls == ["do", "probe"]


def test_do_and_probe_are_of_one_kind(jobs: FakeJobs) -> None:
    async def do(intent: object) -> str:
        return ""

    @actor
    async def charge() -> None:
        await effect("charge", None, do, lambda intent: None)  # type: ignore[arg-type,return-value]

    message = charge.send()
    jobs.run_all()
    assert "both be `async def`" in error_of(jobs, message)["message"]


def test_a_step_does_not_become_an_effect_in_a_later_release(jobs: FakeJobs) -> None:
    runs = [0]

    @actor(backoff=AT_ONCE)
    def changing() -> None:
        runs[0] += 1
        if runs[0] == 1:
            step("mail", lambda: 1)
            raise ConnectionError
        effect("mail", None, lambda intent: 1, lambda intent: None)

    message = changing.send()
    jobs.run_all()
    assert "was stored as a step and is used as a effect now" in error_of(jobs, message)["message"]


def test_a_job_without_steps_asks_the_store_for_none(jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()
    monkeypatch.setattr(jobs.store, "steps", lambda job_id: asked.append(job_id) or {})

    @actor(backoff=AT_ONCE, attempts=2)
    def plain() -> None:
        raise ConnectionError

    @actor
    def first_run() -> None:
        step("one", lambda: 1)

    plain.send()
    first_run.send()
    jobs.run_all()
    assert asked == []


def test_steps_on_the_real_server(real_app: App, running_worker: Any) -> None:
    do, gone = Deeds("two"), threading.Event()

    @actor(backoff=AT_ONCE)
    def order() -> str:
        step("one", do, "one")
        step("two", do, "two")
        gone.set()
        return "done"

    running_worker()
    message = order.send()
    eventually(lambda: state_of(real_app.store, message.message_id) is JobState.COMPLETED)
    assert do.done == ["one", "two"]
    assert list(real_app.store.steps(message.message_id)) == ["one", "two"]


def test_what_an_encrypted_job_notes_is_encrypted(real_app: App, running_worker: Any) -> None:
    seen = list[str]()

    @actor(backoff=AT_ONCE, attempts=2)
    def secretive(token: Annotated[str, Secret]) -> None:
        job_log.info("looking", token=token)
        seen.append(step("look", lambda: f"outcome {token}"))
        seen.append(effect("mail", {"key": token}, lambda intent: intent["key"], lambda intent: None))
        raise ConnectionError

    running_worker()
    message = secretive.send("hunter2-hunter2")
    store = real_app.store
    eventually(lambda: state_of(store, message.message_id) is JobState.FAILED)
    eventually(lambda: len(store.logs(message.message_id)) == 2)
    kept, logs = store.steps(message.message_id), store.logs(message.message_id)
    assert len(kept) == 2
    assert {"look", "mail"}.isdisjoint(kept)
    assert b"hunter2" not in b"".join([*kept.values(), *(chunk for log in logs for chunk in log.chunks)])
    assert seen == ["outcome hunter2-hunter2", "hunter2-hunter2"] * 2
    (first, _) = JobService(real_app).logs(message.message_id)
    assert first.lines[0].values == {"token": "hunter2-hunter2"}


def test_the_names_of_steps_of_an_encrypted_job_are_digests_that_outlast_a_rotation(
    real_app: App, running_worker: Any
) -> None:
    calls = list[str]()
    file = real_app.settings.keys_file

    @actor(backoff=AT_ONCE, attempts=1)
    def secretive(address: Annotated[str, Secret]) -> None:
        step(f"mail {address}", calls.append, address)
        raise ConnectionError

    running_worker()
    store, job_id = real_app.store, secretive.send("ada@example.com").message_id
    eventually(lambda: state_of(store, job_id) is JobState.FAILED)
    assert "ada@example.com" not in str(list(store.steps(job_id)))
    assert [one.name for one in JobService(real_app).steps(job_id).steps] == ["mail ada@example.com"]

    ring = read_ring(file)
    assert ring is not None
    write_ring(file, Ring({**ring.keys, 2: new_key()}, 2))
    real_app.sealing.ring.look_again()
    keys = KeyActions(real_app, "ada")
    for _ in keys.reseal():
        pass
    keys.retire(1)
    assert store.retry_dead([job_id]) == [True]
    eventually(lambda: store.get(job_id).deliveries == 2 and state_of(store, job_id) is JobState.FAILED)
    assert calls == ["ada@example.com"]

    # One step is not taken for another one of its job, either.
    ((name, kept),) = store.steps(job_id).items()
    job = store.get(job_id)
    assert job is not None
    other = real_app.broker.codec.stored_name(job, "transfer")
    assert other != name
    run = StepRun(SimpleNamespace(job=job, secret=True, cancelled=False), JobNotes(lambda: real_app.broker))
    run._stored = {other: kept}
    with pytest.raises(ForgedMessage, match="another step"):
        run.begin("transfer", OUTCOME)
