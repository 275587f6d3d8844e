"""Log lines of a running job say which job it is, also an actor's own, and never what it was given."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog

from actors.composition import App
from actors.declare import actor
from actors.logs import set_up_logs
from broker.testing import FakeJobs


def _look_up(token: str) -> None:
    try:
        {}[token]
    except KeyError as error:
        raise RuntimeError(f"no {token}") from error


@contextmanager
def captured(*, as_json: bool) -> Iterator[io.StringIO]:
    """What a worker's one handler writes."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = [logging.StreamHandler(stream)]
    root.setLevel(logging.INFO)
    try:
        set_up_logs(as_json=as_json)
        yield stream
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()


def lines(stream: io.StringIO, logger: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [line for line in found if line["logger"] == logger]


def test_an_actor_s_own_line_names_job_queue_attempt_and_tenant(app: App, jobs: FakeJobs) -> None:
    @actor
    def sync(name: str) -> None:
        logging.getLogger("mine").info("%d done", 3, extra={"size": 12})

    with captured(as_json=True) as stream:
        message = sync.send_with_options(args=("ada-lovelace",), tenant_id="acme")
        jobs.run_all()
        logging.getLogger("mine").info("outside")
    inside, outside = lines(stream, "mine")
    assert inside["timestamp"].startswith("20")
    assert {key: value for key, value in inside.items() if key != "timestamp"} == {
        "event": "3 done",
        "level": "info",
        "logger": "mine",
        "size": 12,
        "job_id": message.message_id,
        "queue": "sync",
        "actor": "sync",
        "attempt": 1,
        "tenant_id": "acme",
    }
    assert "job_id" not in outside


def test_a_coroutine_s_line_does_too(app: App, jobs: FakeJobs) -> None:
    @actor
    async def sync() -> None:
        logging.getLogger("mine").info("on the loop")

    with captured(as_json=True) as stream:
        message = sync.send()
        jobs.run_all()
    (line,) = lines(stream, "mine")
    assert line["job_id"] == message.message_id


def test_so_does_a_line_through_structlog(app: App, jobs: FakeJobs) -> None:
    @actor
    def sync() -> None:
        structlog.get_logger("mine").info("looked", found=2)

    with captured(as_json=True) as stream:
        message = sync.send()
        jobs.run_all()
    (line,) = lines(stream, "mine")
    assert (line["event"], line["found"], line["job_id"]) == ("looked", 2, message.message_id)


@pytest.mark.parametrize("as_json", [True, False])
def test_an_exception_that_an_actor_logs_quotes_no_argument(app: App, jobs: FakeJobs, as_json: bool) -> None:
    @actor(attempts=1)
    def leaky(token: str) -> None:
        try:
            _look_up(token)
        except RuntimeError:
            logging.getLogger("mine").exception("it failed")

    with captured(as_json=as_json) as stream:
        leaky.send("s3cr3t-token-77")
        jobs.run_all()
    said = stream.getvalue()
    assert "RuntimeError: no [argument]" in said
    assert "because of KeyError" in said
    assert "test_job_logs.py" in said
    assert "s3cr3t" not in said


@pytest.mark.parametrize("as_json", [True, False])
def test_outside_a_job_an_exception_is_written_as_ever(as_json: bool) -> None:
    with captured(as_json=as_json) as stream:
        try:
            {}["key"]
        except KeyError:
            logging.getLogger("mine").exception("it failed")
    assert "Traceback (most recent call last)" in stream.getvalue()


def test_the_trace_is_named_where_there_is_one(app: App, jobs: FakeJobs) -> None:
    @actor
    def sync() -> None:
        from middleware.current import running

        run = running.get()
        assert run is not None
        run.trace_id = "ab" * 16  # as the telemetry middleware sets it
        logging.getLogger("mine").info("here")

    with captured(as_json=True) as stream:
        sync.send()
        jobs.run_all()
    assert lines(stream, "mine")[0]["trace_id"] == "ab" * 16


def test_the_platform_s_line_of_a_job_that_has_ended_names_it(app: App, jobs: FakeJobs) -> None:
    @actor
    def sync() -> None: ...

    message = sync.send()
    (proxy,) = [jobs._next()]
    assert proxy is not None
    with captured(as_json=True) as stream:
        logging.getLogger("callboard.jobs").info("%s completed", proxy)
    (line,) = lines(stream, "callboard.jobs")
    assert (line["job_id"], line["event"]) == (message.message_id, f"sync[{message.message_id}] completed")
