"""Lines that a job writes about itself."""

import threading
from collections.abc import Sequence
from typing import Annotated, Any

import orjson
import pytest
from pydantic import SecretStr

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from jobs.errors import StoreUnavailable
from jobs.marks import Secret
from jobs.model import LOG_BYTES, LogChunk
from middleware import job_log as module
from middleware.job_log import JobLogs, job_log
from tests.fundamentals.stage import StartWorker
from tests.middleware.steps import job_of
from tests.waiting import eventually

AT_ONCE = {"delay": 0}


def lines_of(app: App, message: Any) -> list[list[dict[str, Any]]]:
    """By attempt, once the writer has sent what it had."""
    (logs,) = (one for one in app.broker.middleware if isinstance(one, JobLogs))
    logs._writer.flush()
    store, codec = app.broker.store, app.broker.codec
    job = store.get(message.message_id)
    assert job is not None
    return [
        [line for chunk in log.chunks for line in codec.open_note("log", job, chunk)]
        for log in store.logs(message.message_id)
    ]


def test_a_job_logs_lines_with_values(app: App, jobs: FakeJobs) -> None:
    @actor
    def talks() -> None:
        job_log.debug("looking")
        job_log.info("fetched", rows=40, source="imap")
        job_log.warning("slow", seconds=1.5)
        job_log.error("one is broken", ids=[1, 2], why=ValueError("bad"))

    message = talks.send()
    jobs.run_all()
    ((looking, fetched, slow, broken),) = lines_of(app, message)
    assert (looking["level"], looking["message"], "values" in looking) == ("debug", "looking", False)
    assert (fetched["level"], fetched["values"]) == ("info", {"rows": 40, "source": "imap"})
    assert (slow["level"], slow["values"]) == ("warning", {"seconds": 1.5})
    assert (broken["level"], broken["values"]) == ("error", {"ids": [1, 2], "why": "bad"})
    assert abs(fetched["at"] - job_of(jobs, message).created_at) < 60_000


def test_each_attempt_has_its_own_lines(app: App, jobs: FakeJobs) -> None:
    runs = [0]

    @actor(backoff=AT_ONCE)
    def talks() -> None:
        runs[0] += 1
        job_log.info(f"run {runs[0]}")
        if runs[0] < 3:
            raise ConnectionError

    message = talks.send()
    jobs.run_all()
    assert [[line["message"] for line in run] for run in lines_of(app, message)] == [
        ["run 1"],
        ["run 2"],
        ["run 3"],
    ]


def test_coroutines_log_too(app: App, jobs: FakeJobs) -> None:
    @actor
    async def talks() -> None:
        job_log.info("from the loop")

    message = talks.send()
    jobs.run_all()
    assert lines_of(app, message)[0][0]["message"] == "from the loop"


def test_secrets_are_masked_and_odd_values_written(app: App, jobs: FakeJobs) -> None:
    @actor
    def talks() -> None:
        job_log.info("half a pair: \ud83d", token=SecretStr("hunter2"), half="\ud83d")
        job_log.info("much", text="x" * 5_000)
        job_log.info("y" * 2_000, number=float("nan"), big=2**70)

    message = talks.send()
    jobs.run_all()
    odd, much, long = lines_of(app, message)[0]
    assert odd["message"] == "half a pair: ?"
    assert "hunter2" not in str(odd)
    assert much["values"] == {"text": "too long"}
    assert len(long["message"]) == 1_000


def test_of_many_lines_the_newest_stay_and_a_mark_says_how_many_went(app: App, jobs: FakeJobs) -> None:
    total = 20_000

    @actor
    def talks() -> None:
        for n in range(total):
            job_log.info("line", n=n)

    message = talks.send()
    jobs.run_all()
    (lines,) = lines_of(app, message)
    (log,) = jobs.store.logs(message.message_id)
    assert sum(map(len, log.chunks)) <= LOG_BYTES
    assert lines[-1]["values"] == {"n": total - 1}
    numbers = [line["values"]["n"] for line in lines if "values" in line]
    assert numbers == sorted(numbers)
    marks = [line["message"] for line in lines if line["level"] == "warning"]
    assert marks or log.dropped
    assert all("lines were too many to be kept" in mark for mark in marks)


def test_many_lines_cost_few_calls(app: App, jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, add = list[int](), jobs.store.add_log

    def counted(owner: str, chunks: Sequence[LogChunk]) -> None:
        calls.append(len(chunks))
        add(owner, chunks)

    monkeypatch.setattr(jobs.store, "add_log", counted)
    monkeypatch.setattr(module, "WRITE_EVERY_S", 60.0)

    @actor
    def talks() -> None:
        for n in range(500):
            job_log.info("line", n=n)

    messages = [talks.send() for _ in range(20)]
    jobs.run_all()
    assert sum(len(run) for message in messages for run in lines_of(app, message)) == 20 * 500
    assert len(calls) < 20


def test_lines_wait_for_a_store_that_is_away_and_arrive_once(
    app: App, jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, tries = jobs.store.add_log, [0]

    def flaky(owner: str, chunks: Sequence[LogChunk]) -> None:
        tries[0] += 1
        if tries[0] in (1, 3):
            raise StoreUnavailable("away")
        add(owner, chunks)
        if tries[0] == 2:
            raise StoreUnavailable("the answer was lost")

    monkeypatch.setattr(jobs.store, "add_log", flaky)

    @actor
    def talks() -> None:
        job_log.info("once")

    message = talks.send()
    jobs.run_all()
    eventually(lambda: tries[0] >= 4)
    assert [line["message"] for line in lines_of(app, message)[0]] == ["once"]


def test_outside_a_job_nothing_is_logged() -> None:
    job_log.info("nobody hears", at=1)


def test_lines_are_seen_while_the_job_runs(real_app: App, running_worker: StartWorker) -> None:
    go_on = threading.Event()

    @actor
    def talks() -> None:
        job_log.info("first")
        assert go_on.wait(30)
        job_log.info("last")

    running_worker()
    message = talks.send()
    try:
        eventually(lambda: real_app.store.logs(message.message_id))
    finally:
        go_on.set()
    eventually(lambda: len(real_app.store.logs(message.message_id)[0].chunks) == 2)


def test_a_shredded_tenants_lines_are_given_up_and_hold_up_no_others(
    real_app: App, running_worker: StartWorker, caplog: pytest.LogCaptureFixture
) -> None:
    begun, go = threading.Event(), threading.Event()

    @actor(queue="secrets", attempts=1)
    def secret(value: Annotated[str, Secret]) -> None:
        begun.set()
        assert go.wait(20)
        job_log.info("first")
        job_log.info("second")

    @actor(queue="others")
    def other() -> None:
        job_log.info("plain")

    secret.send_with_options(args=("x",), tenant_id="acme")
    running_worker()
    assert begun.wait(20)
    real_app.sealing.tenants.shred("acme")
    go.set()
    eventually(lambda: "The log of secret" in caplog.text)
    messages = [other.send() for _ in range(3)]

    for message in messages:
        eventually(lambda message=message: real_app.store.logs(message.message_id))
    assert caplog.text.count("The log of secret") == 1


def test_a_job_that_logs_nothing_leaves_nothing(app: App, jobs: FakeJobs) -> None:
    @actor
    def silent() -> None: ...

    message = silent.send()
    jobs.run_all()
    assert lines_of(app, message) == []
    assert orjson.loads(b"[]") == jobs.store.logs(message.message_id)
