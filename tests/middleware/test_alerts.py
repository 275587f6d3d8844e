"""Sentry hears of a failure that is final, once, and of nothing else; and never of what a job was given."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import fake
from jobs.errors import HoldJob, JobCancelled
from jobs.memory import MemoryStore
from jobs.model import Event, Outcome
from jobs.states import JobState
from middleware.sentry import LostAlerts, Sentry, scrubbed
from tests.fundamentals.stage import make_app
from tests.middleware.receivers import Receiver, receiving
from tests.middleware.workers import planted_worker
from tests.waiting import eventually


@pytest.fixture
def sentry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr("middleware.sentry.FLUSH_S", 20.0)  # at the most: it ends when all is sent
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def alerting(monkeypatch: pytest.MonkeyPatch, sentry: Receiver) -> App:
    told = {"dsn": sentry.dsn, "environment": "staging", "release": "2.4.1"}
    return make_app(monkeypatch, MemoryStore(), sentry=told)


def heard(app: App, sentry: Receiver) -> list[dict[str, Any]]:
    app.instruments.sentry().flush()
    return sentry.alerts()


def test_a_failure_that_is_final_alerts_once_and_retried_attempts_do_not(
    alerting: App, sentry: Receiver
) -> None:
    @actor(attempts=3, backoff={"delay": 0})
    def charge() -> None:
        raise ValueError("declined")

    with fake(alerting.broker) as jobs:
        message = charge.send_with_options(tenant_id="acme")
        assert jobs.run_all() == 3
    (alert,) = heard(alerting, sentry)
    assert alert["level"] == "error"
    assert (alert["environment"], alert["release"]) == ("staging", "2.4.1")
    assert alert["tags"] == {
        "queue": "charge",
        "actor": "charge",
        "job_id": message.message_id,
        "dead_letter": "dead-letter",
    }
    assert alert["contexts"]["attempts"] == {"attempt": 3, "of": 3, "delivery": 3}
    (value,) = alert["exception"]["values"]
    assert (value["type"], value["value"]) == ("ValueError", "declined")
    assert value["stacktrace"]["frames"][-1]["function"] == "charge"
    assert "vars" not in value["stacktrace"]["frames"][-1]


def test_what_is_no_failure_alerts_nobody(alerting: App, sentry: Receiver) -> None:
    @actor
    def well() -> None: ...

    @actor
    def held() -> None:
        raise HoldJob(5)

    @actor
    def cancelled() -> None:
        raise JobCancelled

    @actor(attempts=2, backoff={"delay": 60_000})
    def retried() -> None:
        raise ValueError

    with fake(alerting.broker) as jobs:
        for one in (well, held, cancelled, retried):
            one.send()
        jobs.run_all()
    assert heard(alerting, sentry) == []


def test_failures_of_one_cause_are_one_group(alerting: App, sentry: Receiver) -> None:
    @actor(attempts=1)
    def charge(card: str) -> None:
        raise ValueError(f"no such card {card}")

    @actor(attempts=1)
    def refund() -> None:
        raise ValueError("no")

    with fake(alerting.broker) as jobs:
        charge.send("4111-1111")
        charge.send("5500-0000")
        refund.send()
        jobs.run_all()
    one, two, other = sorted(heard(alerting, sentry), key=lambda alert: str(alert["transaction"]))
    assert one["fingerprint"] == two["fingerprint"] != other["fingerprint"]
    assert one["event_id"] != two["event_id"]


def test_success_false_alerts_too(alerting: App, sentry: Receiver) -> None:
    @actor
    def declined() -> dict[str, object]:
        return {"success": False, "error": "the bank said no"}

    with fake(alerting.broker) as jobs:
        declined.send()
        jobs.run_all()
    (alert,) = heard(alerting, sentry)
    assert alert["exception"]["values"][0]["value"] == "the bank said no"


def test_a_tenant_is_a_tag_only_where_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, sentry: Receiver
) -> None:
    app = make_app(monkeypatch, MemoryStore(), sentry={"dsn": sentry.dsn}, telemetry={"tenant_label": True})

    @actor(attempts=1)
    def charge() -> None:
        raise ValueError

    with fake(app.broker) as jobs:
        charge.send_with_options(tenant_id="acme")
        jobs.run_all()
    assert heard(app, sentry)[0]["tags"]["tenant"] == "acme"


class Rows:
    def __init__(self) -> None:
        self.written: list[Event] = []

    def write(self, events: Any) -> None:
        self.written += events


def ended(state: JobState, outcome: Outcome, detail: bytes = b"", job_id: str = "j1") -> Event:
    return Event("1", job_id, "charge", "charge", "acme", outcome, state, 3, 3, "w", 1, 1, 1, 1, detail)


def test_a_job_that_kills_its_workers_alerts_although_no_run_could(sentry: Receiver) -> None:
    client, rows = Sentry(sentry.dsn), Rows()
    sink = LostAlerts(rows, lambda: client)
    sink.write(
        [
            ended(JobState.WAITING, Outcome.LOST, job_id="again"),
            ended(JobState.FAILED, Outcome.LOST, b'{"error_code":"poison","reason":"3 workers died"}'),
            ended(JobState.FAILED, Outcome.FAILED, b'{"error_type":"ValueError"}', "told"),
            ended(JobState.FAILED, Outcome.FAILED, b"\xff", "garbage"),
        ]
    )
    client.flush()
    assert len(rows.written) == 4
    poison, garbage = sentry.alerts()
    assert (poison["tags"]["job_id"], poison["tags"]["kind"]) == ("j1", "poison")
    assert poison["exception"]["values"][0]["value"] == "3 workers died"
    assert garbage["tags"]["job_id"] == "garbage"


def test_the_same_event_told_twice_is_the_same_alert(sentry: Receiver) -> None:
    client = Sentry(sentry.dsn)
    for _ in range(2):
        client.report_event(ended(JobState.FAILED, Outcome.LOST))
    client.flush()
    one, two = sentry.alerts()
    assert one["event_id"] == two["event_id"]


def test_whatever_a_later_release_of_the_sdk_adds_is_taken_out_again() -> None:
    frame = {"function": "f", "vars": {"a": 1}, "context_line": "f(token)", "pre_context": [], "lineno": 3}
    event = {
        "request": {"data": "body"},
        "extra": {"args": [1]},
        "breadcrumbs": {},
        "exception": {"values": [{"stacktrace": {"frames": [frame]}}, {"stacktrace": None}]},
    }
    told = scrubbed(event, {})
    assert set(told) == {"exception"}
    assert told["exception"]["values"][0]["stacktrace"]["frames"] == [{"function": "f", "lineno": 3}]


def test_without_a_dsn_it_is_not_in_the_stack(app: App) -> None:
    assert "Alerts" not in [type(one).__name__ for one in app.broker.middleware]


@pytest.fixture
def leaky_app(
    monkeypatch: pytest.MonkeyPatch, home: Path, redis_url: str, namespace: str
) -> Iterator[tuple[App, dict[str, Any]]]:
    from tests.middleware.planted import declare

    app = make_app(monkeypatch, home=home, redis={"url": redis_url, "namespace": namespace})
    yield app, declare()
    app.broker.close()


def test_a_real_worker_tells_sentry(
    leaky_app: tuple[App, dict[str, Any]], sentry: Receiver, redis_url: str, namespace: str, home: Path
) -> None:
    _, actors = leaky_app
    with planted_worker(redis_url, namespace, home, SENTRY_DSN=sentry.dsn) as worker:
        message = actors["leaky"].send("t0ken-value-1", {"mail": "ann.onymous"})
        (alert,) = eventually(sentry.alerts, 20)
        worker.process.terminate()
        assert worker.ended() == 0
    assert alert["tags"]["job_id"] == message.message_id
    assert [value["type"] for value in alert["exception"]["values"]] == ["LookupError", "RuntimeError"]
    assert len(sentry.alerts()) == 1


def test_what_happened_last_still_reaches_sentry_when_the_worker_ends(
    leaky_app: tuple[App, dict[str, Any]], sentry: Receiver, redis_url: str, namespace: str, home: Path
) -> None:
    app, actors = leaky_app
    with planted_worker(redis_url, namespace, home, SENTRY_DSN=sentry.dsn) as worker:
        message = actors["leaky"].send("t0ken-value-1", {"mail": "ann.onymous"})
        worker.process.terminate()
        assert worker.ended() == 0
    job = app.store.get(message.message_id)
    assert job is not None
    # It ran to its end before the stop, or is back for another worker: either way nothing is untold.
    assert (job.state is JobState.FAILED) == (len(sentry.alerts()) == 1)


def test_a_sentry_that_never_answers_delays_neither_jobs_nor_the_end(
    leaky_app: tuple[App, dict[str, Any]], redis_url: str, namespace: str, home: Path
) -> None:
    app, actors = leaky_app
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing
        dsn = f"http://key@127.0.0.1:{silent.getsockname()[1]}/1"
        with planted_worker(redis_url, namespace, home, SENTRY_DSN=dsn) as worker:
            messages = [actors["leaky"].send("t0ken-value-1", {"mail": "ann.onymous"}) for _ in range(5)]

            def dead() -> bool:
                jobs = [app.store.get(message.message_id) for message in messages]
                return all(job is not None and job.state is JobState.FAILED for job in jobs)

            eventually(dead)
            began = time.monotonic()
            worker.process.terminate()
            assert worker.ended() == 0
            assert time.monotonic() - began < 15  # the SDK itself waits for an answer for 30 s
