"""`import actors` declares everything and touches nothing: no server, no database, no network, no file."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

WATCHED_IMPORT = """
import json, os, sys
code = {sys.prefix, sys.base_prefix, os.getcwd(), *filter(None, sys.path)}
# Libraries may look at the machine they are on: redis-py loads OpenTelemetry where it is installed.
inside = (*(os.path.realpath(folder) for folder in code), "/proc/", "/sys/")
forbidden = ("socket.connect", "socket.bind", "socket.getaddrinfo", "sqlite3.connect", "subprocess.Popen")
broken = []
def watch(event, args):
    if event in forbidden:
        broken.append([event, str(args[-1])])
    elif event == "open" and isinstance(args[0], (str, bytes)):
        path, flags = os.path.realpath(os.fsdecode(args[0])), args[2] or 0
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) or not path.startswith(inside):
            broken.append([event, path])
    elif event in ("os.mkdir", "os.remove", "os.rename"):
        broken.append([event, str(args[0])])
sys.addaudithook(watch)
import actors
print(json.dumps({
    "broken": broken,
    "actors": sorted(actors.app.broker.actors),
    "heavy": sorted(heavy & set(sys.modules)),
}))
"""
SHIPPED = {
    "email_sync",
    "maintenance_cache",
    "maintenance_database",
    "maintenance_locks",
    "maintenance_logs",
    "report_generate",
    "webhook_deliver",
}
HEAVY = {
    "typst",
    "xlsxwriter",
    "imap_tools",
    "httpx2",
    "pendulum",
    "periodiq",
    "httpcore2",
    "sqlalchemy",
    "alembic",
    "psycopg",
}


def run(code: str, cwd: Path, **environment: str) -> dict[str, Any]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("REDIS", "CALLBOARD"))}
    finished = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=clean | {"PYTHONDONTWRITEBYTECODE": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return dict(json.loads(finished.stdout))


@pytest.mark.parametrize("configured", [True, False], ids=["servers that are down", "nothing configured"])
def test_it_does_no_input_or_output_and_loads_nothing_heavy(tmp_path: Path, configured: bool) -> None:
    environment = {"CALLBOARD_HOME": str(tmp_path / "home")}
    if configured:
        environment |= {
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "DATABASE_URL": "postgresql://nobody:nothing@127.0.0.1:1/none",
        }
    said = run(f"heavy = {HEAVY!r}\n" + WATCHED_IMPORT, ROOT, **environment)

    assert said["broken"] == []
    assert said["heavy"] == []
    assert set(said["actors"]) >= SHIPPED
    assert not (tmp_path / "home").exists()


NEW_ACTOR = '''
from datetime import date

from actors.declare import actor


@actor(priority=2)
def rent_reminder(tenancy: str, due: date, copies: int = 1) -> None:
    """Remind a tenant."""
'''
ASK = """
import json
from actors import app
made = app.broker.get_actor("rent_reminder")
rules = app.rules_of(made.queue_name)
print(json.dumps({
    "queue": made.queue_name, "limit": made.options["time_limit"], "priority": made.options["priority"],
    "schema": app.schema("rent_reminder"), "attempts": rules.attempts, "backoff": rules.backoff.delay_ms,
    "actors": sorted(app.broker.actors),
}))
"""
REFUSED = """
import json
from settings import SettingsError
try:
    import actors
except SettingsError as error:
    print(json.dumps({"said": str(error)}))
"""


def shipped(folder: str, names: list[str]) -> set[str]:
    """What of the actors is not copied: actors that somebody has added to this checkout are not ours."""
    return {
        name
        for name in names
        if name == "__pycache__" or (name.endswith(".py") and not is_shipped(Path(folder) / name))
    }


def is_shipped(file: Path) -> bool:
    declares = "@actor" in file.read_text(encoding="utf-8")
    return not declares or file.name in (
        "declare.py",
        "email.py",
        "maintenance.py",
        "reports.py",
        "webhooks.py",
    )


@pytest.fixture
def copied_house(tmp_path: Path) -> Path:
    """A folder with a copy of the actors, which comes before the real one on the path."""
    shutil.copytree(ROOT / "actors", tmp_path / "actors", ignore=shipped)
    return tmp_path


def test_adding_an_actor_is_one_file_with_one_function(copied_house: Path) -> None:
    (copied_house / "actors" / "tenancies.py").write_text(NEW_ACTOR)
    (copied_house / "callboard.toml").write_text('[queues.rent-reminder]\nattempts = 7\ntimeout_ms = "90s"\n')
    said = run(ASK, copied_house)

    assert set(said["actors"]) == {*SHIPPED, "rent_reminder"}
    assert (said["queue"], said["priority"]) == ("rent-reminder", 2)
    assert (said["attempts"], said["limit"]) == (7, 90_000), "from the settings"
    assert said["backoff"] == 1_000, "and what they leave out from the defaults"
    assert said["schema"]["required"] == ["tenancy", "due"]
    assert said["schema"]["properties"]["due"]["format"] == "date"


def test_a_policy_for_a_queue_that_no_actor_has_is_refused_with_the_nearest_name(copied_house: Path) -> None:
    (copied_house / "actors" / "tenancies.py").write_text(NEW_ACTOR)
    (copied_house / "callboard.toml").write_text("[queues.rent-remindr]\nattempts = 7\n")
    said = run(REFUSED, copied_house)
    assert "queues.rent-remindr is a policy for a queue that no actor has" in said["said"]
    assert "rent-reminder" in said["said"]


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("import nosuchmodule\n", "actors/broken.py, line 1: No module named 'nosuchmodule'"),
        ("\nx = = 1\n", "actors/broken.py, line 2: invalid syntax"),
        ("values = {}\n\nvalues['key']\n", "actors/broken.py, line 3: KeyError: 'key'"),
        (
            "from actors.declare import actor\n@actor(atempts=3)\ndef greet() -> None: ...\n",
            "actors/broken.py, line 2: there is no option 'atempts'; did you mean 'attempts'?",
        ),
        (
            "from actors.declare import actor\n@actor(periodic='0 9 * *')\ndef greet() -> None: ...\n",
            "actors/broken.py, line 2: The schedule of actor greet cannot be used: cron '0 9 * *'",
        ),
        (
            "from actors.declare import actor\n@actor\ndef greet(name: 'Name') -> None: ...\n",
            "actors/broken.py, line 2: The signature of actor greet cannot be checked: name 'Name' is not",
        ),
    ],
)
def test_a_mistake_in_an_actor_file_is_one_sentence_with_its_place(
    copied_house: Path, file: str, says: str
) -> None:
    said = refused(copied_house, file, "control.cli", "queues", "list")
    assert f"callboard: {says}" in said


def test_a_worker_says_it_too(copied_house: Path) -> None:
    said = refused(copied_house, "import nosuchmodule\n", "dramatiq", "actors", "-p", "1")
    assert "callboard: actors/broken.py, line 1: No module named 'nosuchmodule'" in said


def refused(house: Path, file: str, *command: str) -> str:
    """What a program says on standard error that does not start because of this file of actors."""
    (house / "actors" / "broken.py").write_text(file)
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=house,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    return ended.stderr
