"""A job that is dead-lettered before it runs: its sender is told where that can be read and trusted, once."""

import time
from typing import Any

import pytest

from actors.composition import App
from actors.declare import actor
from actors.outcome_watch import OutcomeWatch
from broker.testing import FakeJobs
from control.service.keys import KeyActions
from jobs.events import AttemptDetail
from jobs.model import Event, NewJob, Outcome
from jobs.states import JobState
from tests.fundamentals.stage import StartWorker
from tests.middleware.transfers import rows, settled
from tests.sealed import signed
from tests.waiting import eventually

Told = list[tuple[dict[str, Any], dict[str, Any]]]


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.worker.intake.UNKNOWN_ACTOR_S", 0.0)


def tell(told: Told) -> None:
    @actor(queue="told")
    def support(message: dict[str, Any], error: dict[str, Any]) -> None:
        told.append((message, error))


@pytest.mark.usefixtures("no_patience")
def test_the_sender_hears_that_no_worker_knows_the_actor(
    real_app: App, running_worker: StartWorker, told: Told
) -> None:
    tell(told)

    @actor(queue="gone")
    def gone(n: int) -> None: ...

    sent = gone.send_with_options(args=(7,), on_failure="support", tenant_id="acme")
    del real_app.broker.actors["gone"]
    running_worker()
    assert settled(real_app, sent.message_id).state is JobState.FAILED
    ((message, error),) = eventually(lambda: told)
    assert (message["message_id"], message["args"]) == (sent.message_id, [])
    assert (error["type"], error["outcome"], len(error["fingerprint"])) == ("UnknownActor", "failed", 16)
    told_of = ("UnknownActor", "unknown_actor", "failed")
    eventually(lambda: told_of in rows(real_app, "error_type, error_code, outcome"))

    real_app.broker.join("told", timeout=40_000)
    assert len(told) == 1


@pytest.mark.usefixtures("no_patience")
def test_a_payload_that_is_sent_again_calls_nobody(
    real_app: App, running_worker: StartWorker, told: Told
) -> None:
    tell(told)

    @actor(queue="gone")
    def gone() -> None: ...

    payload = b'[[],{},{"on_failure":"support"},1]'
    an_hour_ago = time.time_ns() // 1_000_000 - 3_600_000
    real_app.store.enqueue([signed(NewJob("old", "gone", "gone", payload), an_hour_ago)])
    real_app.store.enqueue([signed(NewJob("new", "gone", "gone", payload))])
    del real_app.broker.actors["gone"]
    running_worker()
    for name in ("old", "new"):
        assert settled(real_app, name).state is JobState.FAILED
    eventually(lambda: told)
    eventually(lambda: len(rows(real_app, "job_id")) >= 3)
    assert [message["message_id"] for message, _ in told] == ["new"]


class TestShredding:
    @pytest.fixture
    def policies(self) -> dict[str, Any]:
        return {"queues": {"secrets": {"encryption": True}}, "keys": {"cache_seconds": 1}}

    def test_what_was_shredded_says_so_and_calls_nobody(
        self, real_app: App, running_worker: StartWorker, told: Told
    ) -> None:
        tell(told)

        @actor(queue="secrets", on_failure="support")
        def secret(text: str) -> None: ...

        sent = secret.send_with_options(args=("x",), tenant_id="acme")
        KeyActions(real_app, "me").shred("acme", "acme")
        running_worker()
        assert settled(real_app, sent.message_id).state is JobState.FAILED
        assert eventually(lambda: rows(real_app, "error_type, error_code")) == [
            ("KeyShredded", "key_shredded")
        ]
        assert told == []


@pytest.mark.parametrize(
    ("code", "times"),
    [
        ("unknown_actor", 1),
        ("key_missing", 1),
        ("forged", 0),
        ("unreadable", 0),
        ("key_shredded", 0),
        ("permanent", 0),
    ],
)
def test_the_code_says_who_has_told_and_an_event_that_comes_again_tells_nothing(
    app: App, jobs: FakeJobs, told: Told, code: str, times: int
) -> None:
    tell(told)

    @actor
    def lost() -> None: ...

    sent = lost.send_with_options(on_failure="support")
    detail = AttemptDetail(error_code=code).to_bytes()
    ended = Event(
        "1-0",
        sent.message_id,
        "lost",
        "lost",
        "",
        Outcome.FAILED,
        JobState.FAILED,
        1,
        1,
        "",
        0,
        0,
        0,
        0,
        detail,
    )
    for _ in range(2):
        OutcomeWatch(lambda: app.broker).write([ended])
    jobs.run_all()
    assert len(told) == times


def test_a_detail_that_is_none_of_ours_does_not_stop_the_audit(app: App, jobs: FakeJobs) -> None:
    for detail in (b"", b"garbage", b"3", b"[]", b"\xff"):
        OutcomeWatch(lambda: app.broker).write(
            [Event("1-0", "x", "q", "a", "", Outcome.FAILED, JobState.FAILED, 1, 1, "", 0, 0, 0, 0, detail)]
        )
    assert jobs.queued() == []
