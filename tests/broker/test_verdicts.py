"""What is settled when a run has ended."""

from typing import Any

import dramatiq
import msgpack
import pytest
from dramatiq.broker import MessageProxy
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Shutdown

from broker.redis.records import pack_verdict
from broker.worker.verdicts import verdict_of
from jobs.errors import JobCancelled
from jobs.memory import MemoryStore
from jobs.model import Outcome, Verdict
from jobs.rules import QueueRules
from jobs.states import JobState
from middleware.retries import Retries
from tests.broker.hands import a_proxy
from tests.broker.workers import a_broker, at_work, send, state_of
from tests.waiting import eventually

RULES = QueueRules(keep_completed=50)


@pytest.mark.parametrize(
    ("option", "removed"),
    [(None, False), (False, False), (1, False), (500, False), (True, True), (0, True)],
)
def test_a_completed_job_leaves_when_it_asked_to_and_the_others_stay(option: object, removed: bool) -> None:
    proxy = a_proxy("one")
    proxy.options["remove_on_complete"] = option
    verdict = verdict_of(proxy, RULES)
    assert (verdict.outcome, verdict.remove, verdict.keep) == (Outcome.COMPLETED, removed, 50)


def test_a_failed_job_never_removes_itself() -> None:
    proxy = a_proxy("one")
    proxy.options["remove_on_complete"] = True
    proxy.fail()
    assert verdict_of(proxy, RULES).remove is False


def test_without_any_middleware_a_failure_is_still_written_down_without_arguments() -> None:
    proxy = a_proxy("one")
    proxy.replace_arguments((), {"password": "hunter2"})
    proxy.stuff_exception(ValueError("the password hunter2 is wrong"))
    assert b"the password [argument] is wrong" in (verdict_of(proxy, RULES).record or b"")


@pytest.mark.parametrize(
    "cause", [Shutdown("stop"), OSError("cannot clean up")], ids=["itself", "what came of it"]
)
def test_what_a_stop_cut_short_is_neither_a_failure_nor_an_attempt(cause: BaseException) -> None:
    proxy: Any = a_proxy("one")
    proxy.interrupted = Shutdown
    proxy.progress = b'{"percent":5}'
    proxy.stuff_exception(cause)
    verdict = verdict_of(proxy, RULES)
    assert (verdict.outcome, verdict.progress) == (Outcome.INTERRUPTED, b'{"percent":5}')


def test_what_a_stop_cut_short_on_its_last_attempt_has_not_failed_for_anybody() -> None:
    """Or alerts and dead letters would tell of a job that is to run again."""
    proxy: Any = a_proxy("one")
    proxy.job = proxy.job._replace(attempt=3, max_attempts=3)
    Retries(lambda queue: RULES).after_process_message(StubBroker(), proxy, exception=Shutdown("stop"))
    assert (proxy.failed, proxy.verdict) == (False, None)


def test_a_stop_that_comes_too_late_changes_nothing() -> None:
    ended, cancelled = a_proxy("one"), a_proxy("two")
    ended.interrupted = cancelled.interrupted = Shutdown
    cancelled.stuff_exception(JobCancelled())
    assert verdict_of(ended, RULES).outcome is Outcome.COMPLETED
    assert verdict_of(cancelled, RULES).outcome is Outcome.CANCELLED


class Odd(dramatiq.Middleware):
    """Makes a verdict that no store can take."""

    def __init__(self, **fields: Any) -> None:
        self._fields = fields

    def after_process_message(self, broker: dramatiq.Broker, message: MessageProxy, **_: Any) -> None:
        proxy: Any = message
        if proxy.actor_name == "odd":
            fields = {"outcome": Outcome.COMPLETED, **self._fields}
            proxy.verdict = Verdict(proxy.job.id, proxy.job.token, **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"outcome": "completed"},
        {"record": {"result": 1}},
        {"delay_ms": None},
        {"reason": ValueError("no text")},
    ],
    ids=["outcome", "record", "delay", "reason"],
)
def test_a_middleware_that_makes_an_odd_verdict_fails_its_job_and_no_other(fields: dict[str, Any]) -> None:
    memory = MemoryStore()

    def odd() -> None: ...

    def neighbour() -> None: ...

    broker = a_broker(
        memory, odd, neighbour, extra=[Odd(**fields)], rules_of=lambda _: QueueRules(attempts=1)
    )
    job_id, other = send(broker, "odd"), send(broker, "neighbour")
    with at_work(broker, threads=1) as worker:
        eventually(lambda: state_of(memory, job_id) is JobState.FAILED)
        eventually(lambda: state_of(memory, other) is JobState.COMPLETED)
        assert all(thread.is_alive() for thread in worker.workers)
    job = memory.get(job_id)
    assert job is not None
    assert b"a middleware made a verdict whose" in (job.record or b"")


def test_a_job_is_settled_although_its_log_line_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = MemoryStore()

    def work() -> None: ...

    def broken(*_: object) -> None:
        raise RuntimeError("no log today")

    monkeypatch.setattr("broker.logs.JobLog.settled", broken)
    broker = a_broker(memory, work)
    job_id = send(broker, "work")
    with at_work(broker):
        eventually(lambda: state_of(memory, job_id) is JobState.COMPLETED)


@pytest.mark.parametrize(
    "change",
    [{"reason": "half \ud800"}, {"delay_ms": 10**40}, {"record": object()}, {"dead_letter": "\udfff"}],
    ids=["reason", "delay", "record", "dead letter"],
)
def test_a_verdict_without_a_packed_form_is_sent_as_a_failure(change: dict[str, Any]) -> None:
    """Raising would end the thread that sends the verdicts of all."""
    fields = msgpack.unpackb(pack_verdict(Verdict("one", 7, Outcome.COMPLETED, **change)))
    assert fields[:3] == ["one", 7, "failed"]
    assert "its verdict has no packed form" in fields[4]
