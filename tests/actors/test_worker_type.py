"""A worker whose type selects nothing does not boot; Dramatiq alone would take that for all queues."""

import os
import subprocess
import sys
from pathlib import Path

import dramatiq
import pytest

from actors.composition import App, compose
from jobs.memory import MemoryStore
from settings import Settings, SettingsError
from tests.sealed import KEY_VARIABLE

ROOT = Path(__file__).parents[2]


def app_of(home: Path, kind: str) -> App:
    app = compose(
        Settings(home=home, workers={"type": kind}, groups={"mail": ["email-sync"], "bills": ["invoices"]}),
        MemoryStore(),
    )
    for queue in ("email-sync", "report-generate"):
        dramatiq.actor(lambda: None, actor_name=queue, queue_name=queue, broker=app.broker)
    return app


@pytest.mark.parametrize("kind", ["ai", "bills", "ai, scheduled"])
def test_a_type_that_selects_no_queue_is_refused_with_those_that_do(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "dramatiq.cli", raising=False)  # as in a program of one's own
    worker = dramatiq.Worker(app_of(tmp_path, kind).broker, worker_threads=1)
    with pytest.raises(
        SettingsError, match=rf"'{kind}', which .* serve something: all, document, mail, primary\.$"
    ):
        worker.start()


def test_a_type_that_selects_a_queue_serves_that_one_alone(tmp_path: Path) -> None:
    worker = dramatiq.Worker(app_of(tmp_path, "document").broker, worker_threads=1)
    worker.start()
    try:
        assert list(worker.consumers) == ["report-generate"]
    finally:
        worker.stop()


def test_under_dramatiqs_command_the_refusal_is_one_sentence(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("REDIS", "CALLBOARD"))}
    ended = subprocess.run(
        [sys.executable, "-m", "dramatiq", "actors", "-p", "1", "-t", "1"],
        cwd=ROOT,
        env=clean | KEY_VARIABLE | {"CALLBOARD_HOME": str(tmp_path), "WORKER_TYPE": "ai"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode != 0
    assert "callboard: workers.type (WORKER_TYPE) is 'ai', which selects no queue" in ended.stderr
    assert "Traceback" not in ended.stderr
