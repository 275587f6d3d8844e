"""A job that may not run now goes back to its place, as if nobody had fetched it."""

import threading
from datetime import timedelta
from typing import Any

import dramatiq
import pytest
from dramatiq.broker import MessageProxy

from broker.options import LONGEST_DELAY_MS
from broker.redis.redis_store import RedisStore
from broker.worker.verdicts import verdict_of
from jobs.errors import HoldJob
from jobs.memory import MemoryStore
from jobs.model import Outcome, RestScope
from jobs.rules import QueueRules
from jobs.states import JobState
from tests.broker.hands import a_proxy
from tests.broker.workers import a_broker, at_work, send, state_of
from tests.waiting import eventually


@pytest.fixture(autouse=True)
def short_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.worker.listener.BLOCK_MS", 300)
    monkeypatch.setattr("broker.worker.signals.LISTEN_MS", 300)


@pytest.fixture
def memory() -> MemoryStore:
    store = MemoryStore()
    store.read_events("test", "test")  # from the first event on
    return store


class Provider:
    """Refuses while it is `closed`."""

    def __init__(self, rests: str) -> None:
        self.closed = True
        self.calls: list[str] = []
        self._rests = rests

    def check(self, who: str) -> None:
        self.calls.append(who)
        if self.closed:
            raise HoldJob(600, "the provider's quota is used up", rests=self._rests)


def test_an_actor_that_may_not_run_spends_nothing(
    memory: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    provider = Provider("job")

    def mail(who: str) -> None:
        provider.check(who)

    broker = a_broker(memory, mail)
    job_id = send(broker, "mail", "ada")
    with at_work(broker):
        eventually(lambda: memory.stats(["mail"])[0].resting == 1)
        job = memory.get(job_id)
        assert job is not None
        assert (job.state, job.attempts, job.record) == (JobState.WAITING, 0, None)
        assert job.held_reason == "the provider's quota is used up"
        provider.closed = False
        assert memory.promote([job_id]) == [True]
        eventually(lambda: state_of(memory, job_id) is JobState.COMPLETED)
    job = memory.get(job_id)
    assert job is not None
    assert job.attempts == 1
    outcomes = [event.outcome for event in memory.read_events("test", "test").events]
    assert outcomes == [Outcome.COMPLETED], "a hold leaves no audit row"
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR", "CRITICAL")] == []


def test_its_lane_rests_and_the_others_go_on(memory: MemoryStore) -> None:
    provider, done = Provider("lane"), list[str]()

    def mail(who: str) -> None:
        if who.startswith("ada"):
            provider.check(who)
        done.append(who)

    broker = a_broker(memory, mail)
    ids = [send(broker, "mail", f"ada-{n}", tenant_id="ada") for n in range(3)]
    with at_work(broker, threads=1):
        eventually(lambda: provider.calls == ["ada-0"])
        other = send(broker, "mail", "bob", tenant_id="bob")
        eventually(lambda: state_of(memory, other) is JobState.COMPLETED)
        assert [state_of(memory, job_id) for job_id in ids] == [JobState.WAITING] * 3
    assert (provider.calls, done) == (["ada-0"], ["bob"])


class Closed(dramatiq.Middleware):
    """A limit that is checked before the actor runs."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def before_process_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        if not self.opened.is_set():
            raise HoldJob(0.05, "the office is closed")


def test_a_middleware_may_hold_a_job_before_its_actor_runs(memory: MemoryStore) -> None:
    closed, ran = Closed(), list[int]()

    def mail() -> None:
        ran.append(1)

    broker = a_broker(memory, mail, extra=[closed], rules_of=lambda queue: QueueRules(attempts=1))
    job_id = send(broker, "mail")
    with at_work(broker):
        eventually(lambda: (job := memory.get(job_id)) is not None and job.deliveries > 2)
        assert ran == []
        closed.opened.set()
        eventually(lambda: state_of(memory, job_id) is JobState.COMPLETED)
    job = memory.get(job_id)
    assert job is not None
    assert (job.attempts, job.record) == (1, None)


@pytest.mark.parametrize(
    ("seconds", "delay_ms"),
    [
        (1.5, 1_500),
        (0, 0),
        (-1, 0),
        (float("nan"), 0),
        (float("inf"), LONGEST_DELAY_MS),
        (10**400, LONGEST_DELAY_MS),
        ("30", 30_000),
        (timedelta(minutes=1), 60_000),
    ],
)
def test_its_verdict_says_what_rests_how_long_and_why(seconds: Any, delay_ms: int) -> None:
    proxy: Any = a_proxy("one")
    proxy.progress = b'{"percent":5}'
    proxy.stuff_exception(HoldJob(seconds, "busy", rests="queue"))
    verdict = verdict_of(proxy, QueueRules())
    assert (verdict.outcome, verdict.delay_ms, verdict.rests) == (Outcome.HELD, delay_ms, RestScope.QUEUE)
    assert (verdict.reason, verdict.progress, verdict.detail, verdict.record) == (
        "busy",
        b'{"percent":5}',
        b"",
        None,
    )


@pytest.mark.parametrize(
    "seconds", [None, "Wed, 21 Oct 2026 07:28:00 GMT", [30]], ids=["None", "a date", "a list"]
)
def test_a_time_that_is_none_fails_the_attempt_with_a_sentence(memory: MemoryStore, seconds: Any) -> None:
    def mail() -> None:
        raise HoldJob(seconds, "busy")

    broker = a_broker(memory, mail, rules_of=lambda queue: QueueRules(attempts=1))
    job_id = send(broker, "mail")
    with at_work(broker):
        eventually(lambda: state_of(memory, job_id) is JobState.FAILED)
    job = memory.get(job_id)
    assert job is not None
    assert b"HoldJob takes seconds, and this" in (job.record or b"")


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        (ValueError("quota"), "quota"),
        ("mail \ud800", "mail ?"),
        ("two\nlines, \x1b[31mred", "two?lines, ?[31mred"),
        ("x" * 2_000, "x" * 500),
    ],
    ids=["an exception", "half a surrogate pair", "control characters", "too long"],
)
def test_whatever_the_reason_is_it_is_kept_as_text(store: RedisStore, reason: object, kept: str) -> None:
    """The thread that sends the verdicts of all jobs must not die of one."""

    def mail() -> None:
        raise HoldJob(600, reason)

    def neighbour() -> None: ...

    broker = a_broker(store, mail, neighbour)
    held, other = send(broker, "mail"), send(broker, "neighbour")
    with at_work(broker):
        eventually(lambda: (job := store.get(held)) is not None and job.held_reason == kept)
        eventually(lambda: state_of(store, other) is JobState.COMPLETED)
