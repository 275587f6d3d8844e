"""Secrets are planted where a job could leak them, and every sink is searched for them afterwards."""

import json
import os
import secrets
import subprocess
import urllib.request
from pathlib import Path
from string import ascii_lowercase

import pytest

from actors.composition import App
from database.migrations import migrate
from jobs.states import JobState
from tests.control.running import callboard
from tests.fundamentals.stage import make_app
from tests.middleware import planted
from tests.middleware.receivers import receiving
from tests.middleware.workers import FOREIGN, planted_worker
from tests.ports import free_port
from tests.waiting import eventually


@pytest.mark.timeout(180)
@pytest.mark.parametrize("as_json", [False, True], ids=["text logs", "JSON logs"])
def test_no_sink_holds_a_planted_secret(
    monkeypatch: pytest.MonkeyPatch, home: Path, redis_url: str, namespace: str, as_json: bool
) -> None:
    # Letters alone: what looks like a number, an address or a long quotation is taken out in any case.
    argument, nested, local = ("".join(secrets.choice(ascii_lowercase) for _ in range(30)) for _ in range(3))
    port = free_port()
    app = make_app(monkeypatch, home=home, redis={"url": redis_url, "namespace": namespace})
    migrate(app.engine())
    leaky = planted.declare()["leaky"]
    with receiving() as sentry, receiving() as collector:
        environment = {
            "PLANTED": local,
            "SENTRY_DSN": sentry.dsn,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "CALLBOARD_TELEMETRY__METRICS_PORT": str(port),
            "CALLBOARD_TELEMETRY__TENANT_LABEL": "true",
            "CALLBOARD_TELEMETRY__OPENCELL": "true",
            "CALLBOARD_TELEMETRY__JSON_LOGS": str(as_json).lower(),
        }
        with planted_worker(redis_url, namespace, home, **environment) as worker:
            message = leaky.send_with_options(args=(argument, {"mail": nested}), tenant_id="acme")
            eventually(lambda: _failed(app, message.message_id), 20)
            eventually(sentry.alerts)
            eventually(lambda: [span for span in collector.spans() if span.name == "run leaky"])
            eventually(lambda: len(_rows(home)) > 0 and b"RuntimeError" in _rows(home))
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
                metrics = answer.read()
            worker.process.terminate()
            assert worker.ended() == 0
            log = "\n".join(worker.lines).encode()
        sinks = {
            "log": log,
            "sentry": b"\n".join(sentry.bodies),
            "otlp": b"\n".join(collector.bodies),
            "metrics": metrics,
            "sql": _rows(home),
            "jobs list": _shown(redis_url, namespace, home, "list", "leaky"),
            "jobs get": _without_data(
                _shown(redis_url, namespace, home, "get", message.message_id, "--json")
            ),
            "jobs why": _shown(redis_url, namespace, home, "why", message.message_id),
        }
        app.broker.close()
        app.engine().dispose()
    # They did speak of the job …
    for name, word in {
        "log": b"it could not look up",
        "sentry": b"RuntimeError",
        "otlp": b"RuntimeError",
        "metrics": b'queue="leaky"',
        "sql": b"RuntimeError",
        "jobs list": b"leaky",
        "jobs get": b"RuntimeError",
        "jobs why": message.message_id.encode(),
    }.items():
        assert word in sinks[name], name
    # … and said nothing of what it was given or had in hand.
    for name, said in sinks.items():
        for secret in (argument, nested, local):
            assert secret.encode() not in said, name
            assert secret[:12].encode() not in said, name


def _failed(app: App, job_id: str) -> bool:
    job = app.store.get(job_id)
    return job is not None and job.state is JobState.FAILED


def _rows(home: Path) -> bytes:
    """All that SQLite has on disk, journal included."""
    return b"".join(file.read_bytes() for file in sorted(home.glob("callboard.db*")))


def _without_data(job: bytes) -> bytes:
    """An operator may see the arguments there, unless they are marked: tests/control has that."""
    return json.dumps({name: value for name, value in json.loads(job).items() if name != "data"}).encode()


def _shown(redis_url: str, namespace: str, home: Path, *arguments: str) -> bytes:
    env = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    env |= {"REDIS_URL": redis_url, "CALLBOARD_REDIS__NAMESPACE": namespace, "CALLBOARD_HOME": str(home)}
    said: subprocess.CompletedProcess[str] = callboard(env, "jobs", *arguments)
    return (said.stdout + said.stderr).encode()
