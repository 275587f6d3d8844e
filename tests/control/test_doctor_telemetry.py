"""What `callboard doctor` says of alerts, traces and metrics."""

import socket
from collections.abc import Iterator

import pytest

from control.service.checks.telemetry import telemetry
from settings import Settings


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def found(**settings: object) -> dict[str, tuple[str, str]]:
    return {one.subject: (one.status, one.text) for one in telemetry(Settings(**settings))}


def test_what_is_off_is_said_with_how_to_switch_it_on() -> None:
    said = found()
    assert {status for status, _ in said.values()} == {"note"}
    assert "SENTRY_DSN" in said["alerts"][1]
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in said["traces"][1]
    assert "telemetry.metrics_port" in said["metrics"][1]


def test_what_is_on_and_answers_is_well(port: int) -> None:
    said = found(
        sentry={"dsn": f"http://s3cr3t@127.0.0.1:{port}/1", "environment": "staging"},
        telemetry={"otlp_endpoint": f"http://127.0.0.1:{port}", "metrics_port": 9464},
    )
    assert {subject: status for subject, (status, _) in said.items()} == {
        "alerts": "ok",
        "traces": "ok",
        "metrics": "ok",
    }
    assert said["alerts"][1] == "to Sentry at 127.0.0.1, environment staging"
    assert "127.0.0.1:9464" in said["metrics"][1]
    assert "s3cr3t" not in str(said)


def test_what_does_not_answer_is_a_note_because_jobs_run_all_the_same(closed_port: int) -> None:
    said = found(
        sentry={"dsn": f"http://key@127.0.0.1:{closed_port}/1"},
        telemetry={"otlp_endpoint": f"http://127.0.0.1:{closed_port}"},
    )
    assert said["alerts"][0] == said["traces"][0] == "note"
    assert "does not answer now" in said["alerts"][1]
