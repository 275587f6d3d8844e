"""Settings that cannot be met: each command, the worker and the doctor say the same one sentence."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from control.service.checks.limits import limits
from jobs.memory import MemoryStore
from tests.control.board import small_app
from tests.control.running import LONG_S, ROOT, callboard, command, refused, running
from tests.ports import free_port

NOPE = {"CALLBOARD_MIDDLEWARE__EXTRA": "mycorp.jobs.Nope"}
SENTENCE = "middleware.extra names 'mycorp.jobs.Nope', which cannot be loaded: No module named 'mycorp'."


def worker(env):
    """Dramatiq's own command, which ends by itself where it may not start."""
    argv = [sys.executable, "-m", "dramatiq", "actors", "-p", "1", "-t", "1"]
    return subprocess.run(
        argv, env=env, cwd=ROOT, capture_output=True, text=True, timeout=LONG_S, check=False
    )


def without_module(env, module, *arguments):
    """A command where a library is not installed."""
    code = (
        f"import sys; sys.modules[{module!r}] = None; from control.cli import main; main({list(arguments)!r})"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LONG_S,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [("queues", "list"), ("jobs", "add", "email-sync"), ("scheduler",), ("up",)],
    ids=lambda arguments: arguments[0],
)
def test_a_class_that_is_not_there_is_one_sentence_for_every_command(env, arguments):
    assert refused(callboard({**env, **NOPE}, *arguments)) == f"callboard: {SENTENCE}"


def test_a_worker_ends_with_that_sentence(env):
    ended = worker({**env, **NOPE})
    assert SENTENCE in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout


def test_the_doctor_names_it_under_settings_with_the_mend(env):
    found = json.loads(callboard({**env, **NOPE}, "doctor", "--json").stdout)
    (said,) = [one for one in found if one["subject"] == "settings"]
    assert (said["status"], said["text"]) == ("problem", SENTENCE)
    assert "callboard.toml" in said["mend"]
    assert "actors" not in [one["subject"] for one in found]


@pytest.mark.parametrize("arguments", [("queues", "list"), ("blobs", "sweep")], ids=lambda one: one[0])
def test_a_store_whose_library_is_missing_ends_the_start_with_what_to_install(env, arguments):
    env = {**env, "CALLBOARD_BLOBS__STORE": "s3", "CALLBOARD_BLOBS__BUCKET": "bucket"}
    said = refused(without_module(env, "obstore", *arguments))
    assert said.startswith(
        'callboard: blobs.store is "s3", but obstore is not installed: install the extra s3'
    )


def test_so_do_traces_whose_library_is_missing(env):
    env = {**env, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    said = refused(without_module(env, "opentelemetry", "jobs", "add", "email-sync"))
    assert "opentelemetry is not installed: install the extra telemetry" in said


def test_an_address_of_sentry_that_is_none_is_refused_without_showing_it(env):
    env = {**env, "SENTRY_DSN": "n0pe"}
    said = refused(callboard(env, "queues", "list"))
    assert said.startswith("callboard: sentry.dsn must be a DSN")
    assert "n0pe" not in said + worker(env).stderr


def test_the_doctor_names_a_queue_of_a_limit_that_nobody_declares(tmp_path):
    rule = {"limit": 3, "queues": ["email-snyc"]}
    app = small_app(MemoryStore(), tmp_path, limits={"mail": rule, "fine": {"limit": 3, "queues": ["count"]}})
    (found,) = limits(app)
    assert (found.subject, found.status) == ("limits.mail", "problem")
    assert found.text == "it names the queue email-snyc, which nobody declares"
    assert "did you mean email-sync?" in found.mend


def test_the_doctor_says_nothing_of_the_audit_while_the_database_is_away(joined, closed_port):
    env = {**joined, "DATABASE_URL": f"postgresql://me:pw@127.0.0.1:{closed_port}/jobs"}
    found = json.loads(callboard(env, "doctor", "--json").stdout)
    subjects = [one["subject"] for one in found]
    assert "database" in subjects
    assert "audit" not in subjects
    found = json.loads(callboard(joined, "doctor", "--json").stdout)
    assert [one["text"] for one in found if one["subject"] == "audit"] == ["no attempt waits to be stored"]


def test_damaged_keys_end_up_before_it_is_up(env):
    home = Path(env["CALLBOARD_HOME"])
    home.mkdir()
    file = home / "keys.json"
    file.write_text("{damaged")
    file.chmod(0o600)
    with running(command("up"), {**env, "CALLBOARD_API__PORT": str(free_port())}) as board:
        assert board.ended() == 1
    assert "keys.json" in board.lines[-1]
    assert not any("is up" in line for line in board.lines)
