"""A callback that no actor takes: refused when all is put together, with its place."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from actors.declare import actor
from settings import SettingsError
from tests.fundamentals.stage import make_app

ROOT = Path(__file__).parents[2]
OWN = '''from actors.declare import actor


@actor(on_success="nosuch")
def billed(cents: int) -> None:
    """Take money."""
'''
SENTENCE = "on_success of billed is 'nosuch', but there is no actor named 'nosuch'."


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The product with an actor of one's own that names a callback which nobody has."""
    shutil.copytree(ROOT / "actors", tmp_path / "actors", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "actors" / "billing.py").write_text(OWN)
    return tmp_path


def ran(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("REDIS", "CALLBOARD"))}
    path = os.pathsep.join([str(checkout), str(ROOT)])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        env=clean | {"PYTHONPATH": path, "CALLBOARD_HOME": str(checkout / "home")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_worker_and_every_command_end_with_one_sentence(checkout: Path) -> None:
    worker = ran(checkout, "-m", "dramatiq", "actors", "-p", "1", "-t", "1")
    assert f"callboard: actors/billing.py, line 4: {SENTENCE}" in worker.stderr
    assert "Traceback" not in worker.stderr
    listed = ran(checkout, "-m", "control.cli", "queues", "list")
    assert (listed.returncode, listed.stderr) == (1, f"callboard: actors/billing.py, line 4: {SENTENCE}\n")


def test_the_doctor_has_a_line_for_it(checkout: Path) -> None:
    found = json.loads(ran(checkout, "-m", "control.cli", "doctor", "--json").stdout)
    (said,) = [one for one in found if one["subject"] == "actors"]
    assert said["status"] == "problem"
    assert said["text"].endswith(SENTENCE)
    assert [one["status"] for one in found if one["subject"] == "settings"] == ["ok"]


def test_a_callback_that_is_declared_later_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(monkeypatch)

    @actor(on_failure="told")
    def failing() -> None: ...

    with pytest.raises(SettingsError, match="on_failure of failing is 'told', but there is no actor"):
        app.check()

    @actor
    def told(message: dict[str, object], error: dict[str, object]) -> None: ...

    app.check()


def test_where_callbacks_are_left_out_none_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(monkeypatch, middleware={"without": ["callbacks"]})
    app.check()
