"""on_success and on_failure: one job for the outcome of a job, accepted with it."""

from typing import Annotated, Any

import orjson
import pytest

from actors.composition import App
from actors.declare import actor
from actors.outcome_watch import OutcomeWatch
from broker.codec import UndecodablePayload
from broker.testing import FakeJobs
from jobs.errors import HoldJob, InvalidPayload, KeyUnavailable
from jobs.marks import Secret
from jobs.model import Event, FetchRequest, Job, NewJob, WorkerInfo
from jobs.states import JobState
from middleware.callbacks import DELIVERER
from tests.fundamentals.stage import StartWorker
from tests.middleware.steps import events
from tests.waiting import eventually

Heard = list[tuple[dict[str, Any], Any]]


@pytest.fixture
def policies() -> dict[str, Any]:
    return {"webhooks": {"orders": {"url": "https://example.com/hook", "secret": "whsec_" + "a" * 32}}}


@pytest.fixture
def heard(app: App) -> Heard:
    heard: Heard = []

    @actor
    def told(message: dict[str, Any], what: Any) -> None:
        heard.append((message, what))

    @actor(queue="webhook-deliver")
    def webhook_deliver(endpoint_id: str, event: str, data: dict[str, Any]) -> None:
        heard.append(({"endpoint": endpoint_id, "event": event}, data))

    assert webhook_deliver.actor_name == DELIVERER
    return heard


def test_attempts_are_no_outcome(jobs: FakeJobs, heard: Heard) -> None:
    @actor(attempts=3, backoff={"type": "fixed", "delay": 0}, on_success="told", on_failure="told")
    def mends_itself(fails: int) -> str:
        from middleware.current import current_job

        job = current_job()
        assert job is not None
        if job.attempt <= fails:
            raise ConnectionError("not yet")
        return "at last"

    mends_itself.send(2)
    mends_itself.send(3)
    for _ in range(4):
        jobs.run_all()
        jobs.advance(60)
    assert sorted(what if isinstance(what, str) else what["outcome"] for _, what in heard) == [
        "at last",
        "failed",
    ]


def test_what_is_held_has_no_outcome_yet(jobs: FakeJobs, heard: Heard) -> None:
    @actor(on_success="told", on_failure="told")
    def waits(tries: list[int]) -> None:
        if len(heard_tries) < 2:
            heard_tries.append(1)
            raise HoldJob(1, "not now")

    heard_tries: list[int] = []
    waits.send([])
    jobs.run_all()
    assert heard == []
    for _ in range(3):
        jobs.advance(2)
        jobs.run_all()
    assert len(heard) == 1


def test_a_failure_is_told_without_its_arguments(jobs: FakeJobs, heard: Heard) -> None:
    @actor(attempts=1, on_failure="told")
    def charge(card: Annotated[str, Secret]) -> None:
        raise ValueError(f"the card {card} was declined, ask ada@example.org")

    charge.send("4242-hunter2")
    jobs.run_all()
    ((message, error),) = heard
    assert (message["args"], message["kwargs"], message["actor_name"]) == ([], {}, "charge")
    assert error == {
        "type": "ValueError",
        "message": "the card [argument] was declined, ask [address]",
        "fingerprint": error["fingerprint"],
        "outcome": "failed",
    }
    assert len(error["fingerprint"]) == 16


def test_the_arguments_of_others_come_along(jobs: FakeJobs, heard: Heard) -> None:
    @actor(on_success="told")
    def add(x: int, y: int) -> int:
        return x + y

    add.send(1, y=2)
    jobs.run_all()
    ((message, result),) = heard
    assert (message["args"], message["kwargs"], result) == ([1], {"y": 2}, 3)


def test_a_webhook_endpoint_gets_a_delivery_of_its_own(jobs: FakeJobs, heard: Heard) -> None:
    @actor(attempts=1, on_success="webhook:orders", on_failure="webhook:orders")
    def divide(x: int, y: int) -> int:
        return x // y

    fine = divide.send(6, 3)
    divide.send(6, 0)
    jobs.run_all()
    assert heard[0] == (
        {"endpoint": "orders", "event": "job.completed"},
        {
            "jobId": fine.message_id,
            "actor": "divide",
            "queue": "divide",
            "outcome": "completed",
            "result": 2,
        },
    )
    assert heard[1][0]["event"] == "job.failed"
    assert heard[1][1]["error"]["type"] == "ZeroDivisionError"


def test_an_endpoint_that_the_settings_lack_is_refused_at_once(app: App, heard: Heard) -> None:
    with pytest.raises(
        InvalidPayload, match=r"on_success names the webhook endpoint 'nowhere'.* have orders"
    ):

        @actor(on_success="webhook:nowhere")
        def wrong() -> None: ...

    @actor
    def fine() -> None: ...

    with pytest.raises(InvalidPayload, match=r"on_failure names the webhook endpoint 'nowhere'"):
        fine.send_with_options(on_failure="webhook:nowhere")


def test_a_result_that_is_too_long_for_a_message_stays_with_its_job(jobs: FakeJobs, heard: Heard) -> None:
    @actor(on_success="webhook:orders")
    def long() -> str:
        return "x" * 102_300

    long.send()
    jobs.run_all()
    ((_, data),) = heard
    assert (data["result"], data["note"].startswith("it was too long")) == (None, True)


@pytest.mark.parametrize("how", ["cancelled before it started", "its workers died"])
def test_an_end_that_no_worker_settles_is_told_from_its_event(
    app: App, jobs: FakeJobs, heard: Heard, how: str
) -> None:
    @actor(attempts=1, on_failure="told")
    def lost(n: int) -> None: ...

    message = lost.send_with_options(args=(1,), tenant_id="acme")
    if how == "its workers died":
        assert len(jobs.store.fetch(_request()).jobs) == 1
        jobs.store.register(_worker(), 1)
        jobs.advance(1)
        jobs.store.register(_worker("other"), 60_000)
        assert jobs.store.reclaim(1) == 1
    else:
        jobs.store.cancel([message.message_id], "not wanted")
    ended = events(jobs)
    watch = OutcomeWatch(lambda: app.broker)
    watch.write(ended)
    watch.write(ended)  # the database was away
    OutcomeWatch(lambda: app.broker).write(ended)  # and another process took over
    assert [(job.actor, job.lane) for job in jobs.queued()] == [("told", "acme")]
    jobs.run_all()
    ((told, error),) = heard
    assert told["message_id"] == message.message_id
    assert error["outcome"] == ("cancelled" if "cancelled" in how else "failed")
    assert error["type"] in ("Cancelled", "LeaseLost")


def test_what_a_worker_settled_is_not_told_a_second_time(app: App, jobs: FakeJobs, heard: Heard) -> None:
    @actor(attempts=1, on_success="told", on_failure="told")
    def divide(x: int, y: int) -> int:
        return x // y

    divide.send(1, 1)
    divide.send(1, 0)
    jobs.run_all()
    OutcomeWatch(lambda: app.broker).write(events(jobs))
    assert jobs.queued() == []
    assert len(heard) == 2


def test_a_replay_is_another_outcome(jobs: FakeJobs, heard: Heard) -> None:
    @actor(attempts=1, on_failure="told")
    def broken() -> None:
        raise ValueError("again")

    message = broken.send()
    jobs.run_all()
    jobs.store.retry_dead([message.message_id])
    jobs.run_all()
    assert len(heard) == 2


def test_a_callback_whose_job_is_gone_or_unknown_does_not_stop_the_audit(app: App, jobs: FakeJobs) -> None:
    stored: list[Event] = []

    class Sink:
        def write(self, events: Any) -> None:
            stored.extend(events)

    @actor(on_failure="nobody")
    def lost() -> None: ...

    message = lost.send()
    jobs.store.enqueue([NewJob("stranger", "lost", "stranger", orjson.dumps([]))])
    jobs.store.cancel([message.message_id, "stranger"])
    OutcomeWatch(lambda: app.broker, Sink()).write(events(jobs))
    assert len(stored) == 2


def test_a_callback_waits_for_a_key_and_is_not_taken_for_told(
    app: App, jobs: FakeJobs, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    @actor(on_failure="told")
    def lost() -> None: ...

    message = lost.send()
    jobs.store.cancel([message.message_id])
    ended, watch = events(jobs), OutcomeWatch(lambda: app.broker)

    def without_key(job: Job) -> None:
        raise UndecodablePayload("no key") from KeyUnavailable("the database is away")

    with monkeypatch.context() as away:
        away.setattr(app.broker, "decode", without_key)
        with pytest.raises(KeyUnavailable):  # so the event is read again
            watch.write(ended)
    watch.write(ended)
    assert [job.actor for job in jobs.queued()] == ["told"]


def test_a_callback_that_a_call_names_is_sent_by_a_process_that_does_not_know_the_actor(
    app: App, jobs: FakeJobs, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    @actor
    def known(n: int) -> None: ...

    ids = [
        known.send_with_options(args=(7,), on_failure="told").message_id,
        known.send(8).message_id,
        known.send_with_options(args=(9,), on_failure="later").message_id,
    ]
    jobs.store.cancel(ids)
    ended, watch = events(jobs), OutcomeWatch(lambda: app.broker)
    del app.broker.actors["known"]
    watch.write(ended)
    assert "this process does not know its actor known" in caplog.text

    @actor
    def later(message: dict[str, Any], what: Any) -> None:
        heard.append((message, what))

    watch.write(ended)  # what could not be sent is not taken for told
    assert sorted(job.actor for job in jobs.queued()) == ["later", "told"]
    jobs.run_all()
    assert {message["message_id"] for message, _ in heard} == {ids[0], ids[2]}
    assert [message["args"] for message, _ in heard] == [[], []]


def test_callbacks_follow_on_real_workers(real_app: App, running_worker: StartWorker) -> None:
    @actor
    async def told(message: dict[str, Any], what: Any) -> Any:
        return what

    @actor(attempts=2, backoff={"type": "fixed", "delay": 10}, on_success="told", on_failure="told")
    async def divide(x: int, y: int) -> int:
        return x // y

    @actor(on_failure="told")
    def waits() -> None: ...

    waiting = waits.send_with_options(delay=600_000)
    running_worker()
    divide.send(6, 3)
    divide.send(6, 0)
    real_app.store.cancel([waiting.message_id])  # only the event tells of it
    done = eventually(
        lambda: len(found := real_app.store.list_jobs("told", JobState.COMPLETED)) == 3 and found, timeout=20
    )
    results = [orjson.loads(job.record or b"{}")["result"] for job in done]
    kinds = sorted(str(result if isinstance(result, int) else result["type"]) for result in results)
    assert kinds == ["2", "Cancelled", "ZeroDivisionError"]


def _request() -> Any:

    return FetchRequest("worker-1", "t", 1, {"lost": 1}, 1)


def _worker(owner: str = "worker-1") -> Any:

    return WorkerInfo(owner, "host", 1, "0.1.0", 1, ("lost",), 0)
