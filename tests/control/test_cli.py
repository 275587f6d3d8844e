"""The `callboard` command: exit codes, and one sentence for each thing that can be wrong."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from broker.connection import RedisAddress
from broker.redis_store import RedisStore
from control.api.keys import KeyFile
from control.api.serve import listen
from jobs.model import FetchRequest, Outcome
from jobs.states import JobState
from tests.control.board import work
from tests.control.running import ROOT, running
from tests.waiting import eventually

SYNC = ("user_id=u1", "account_id=a1")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine where nothing is configured and nothing runs."""
    foreign = (
        "REDIS",
        "DATABASE",
        "CALLBOARD",
        "WORKER",
        "QUEUE",
        "SMTP",
        "SENTRY",
        "START_WORKERS",
        "NODE_",
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**clean, "CALLBOARD_HOME": str(tmp_path / "home")}


@pytest.fixture
def joined(env, redis_url, namespace) -> dict[str, str]:
    """The same with a real Redis."""
    return {**env, "REDIS_URL": redis_url, "CALLBOARD_REDIS__NAMESPACE": namespace}


@pytest.fixture
def board(redis_url, namespace):
    """The store that the commands of `joined` speak to."""
    store = RedisStore(lambda: RedisAddress(redis_url), namespace)
    yield store
    store.close()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "control.cli", *arguments]


def callboard(env, *arguments, stdin=""):
    return subprocess.run(
        command(*arguments), env=env, cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=30
    )


def refused(result, code=1):
    """The one sentence of a refusal."""
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    (line,) = result.stderr.splitlines()
    return line


def test_help_is_there_at_once(env):
    began = time.perf_counter()
    result = callboard(env, "--help")
    took = time.perf_counter() - began

    assert result.returncode == 0
    for name in ("up", "demo", "doctor", "jobs", "api", "config", "api-key"):
        assert name in result.stdout
    assert took < 2  # 0.3 s on an idle machine; imports of the heavy libraries would take longer


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("nonsense",), 2, "No such command 'nonsense'"),
        (("jobs", "get"), 2, "Missing argument"),
        (("jobs", "list", "email-sync", "--state", "asleep"), 2, "Invalid value for '--state'"),
        (("jobs", "add", "email-sync", "--priority", "11"), 2, "Invalid value for '--priority'"),
        (("jobs", "get", "j1"), 1, "There is no Redis to talk to"),
        (("jobs", "add", "email-sinc"), 1, "did you mean email-sync"),
        (("jobs", "add", "email-sync", "user_id"), 1, "'user_id' is no argument: write it as name=value"),
        (("jobs", "add", "email-sync", "--json", "{"), 1, "--json is not valid JSON"),
        (("jobs", "add", "email-sync", "--json", "[1]"), 1, "--json must be an object"),
        (("jobs", "add", "email-sync", "--json", "@/nowhere.json"), 1, "no such file or directory"),
        (("jobs", "add", "email-sync", *SYNC, "userId=u2"), 1, "user_id: it is given twice"),
        (("jobs", "add", "email-sync", *SYNC, "--delay", "soon"), 1, "delay: it must be a duration"),
        (("jobs", "add", "email-sync", *SYNC, "--backoff", "random:1s"), 1, "backoff.type"),
        (("jobs", "add", "email-sync", "user_id=u1"), 1, "account_id"),
        (("config", "show", "colour"), 1, "no setting starts with 'colour'"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(env, arguments, code, says):
    assert says in refused(callboard(env, *arguments), code)


def test_a_misspelt_setting_is_refused_with_the_nearest(env):
    result = callboard({**env, "CALLBOARD_HOMME": "/x"}, "config", "show")

    assert "did you mean CALLBOARD_HOME?" in refused(result)


def test_an_unreachable_redis_is_named_without_its_password(env):
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]

    result = callboard({**env, "REDIS_URL": f"redis://:hunter2@127.0.0.1:{port}"}, "jobs", "get", "j1")

    assert f"127.0.0.1:{port}" in refused(result)
    assert "hunter2" not in result.stderr


def test_a_traceback_is_there_for_those_who_ask(env):
    result = callboard({**env, "CALLBOARD_DEBUG": "1"}, "jobs", "get", "j1")

    assert result.returncode == 1
    assert "Traceback" in result.stderr


def test_the_configuration_is_shown_without_its_secrets(env):
    env = {**env, "REDIS_URL": "redis://:hunter2@cache:6379"}

    table = callboard(env, "config", "show", "redis").stdout
    lines = json.loads(callboard(env, "config", "show", "redis", "--json").stdout)

    assert "hunter2" not in table
    (url,) = [line for line in lines if line["key"] == "redis.url"]
    assert url == {
        "key": "redis.url",
        "value": "redis://:********@cache:6379",
        "source": "environment REDIS_URL",
    }


def test_rotate_prints_a_new_key_that_fits(env):
    result = callboard(env, "api-key", "rotate")

    assert result.returncode == 0
    assert KeyFile(Path(env["CALLBOARD_HOME"])).matches(result.stdout.strip())


def test_a_job_is_added_with_its_options_and_shown(joined, board):
    added = callboard(
        joined,
        *("jobs", "add", "email-sync", *SYNC, "--id", "x-1"),
        *(
            "--priority",
            "3",
            "--delay",
            "5s",
            "--attempts",
            "4",
            "--backoff",
            "fixed:2s",
            "--timeout",
            "1min",
        ),
    )

    assert (added.returncode, added.stdout) == (0, "x-1\n")
    job = json.loads(callboard(joined, "jobs", "get", "x-1", "--json").stdout)
    assert job["state"] == "delayed"
    assert job["data"]["user_id"] == "u1"
    assert job["opts"]["priority"] == 3
    assert job["opts"]["attempts"] == 4
    assert job["opts"]["delay"] == 5_000
    assert job["opts"]["backoff"] == {"type": "fixed", "delay": 2_000}
    assert job["opts"]["timeout"] == 60_000
    assert "x-1" in callboard(joined, "jobs", "get", "x-1").stdout


def test_arguments_come_from_json_a_file_or_standard_input(joined, board, tmp_path):
    text = '{"userId": "u1", "accountId": "a1"}'
    (tmp_path / "job.json").write_text(text)

    for source, stdin in ((text, ""), (f"@{tmp_path / 'job.json'}", ""), ("@-", text)):
        assert callboard(joined, "jobs", "add", "email-sync", "--json", source, stdin=stdin).returncode == 0

    assert len(board.list_jobs("email-sync", JobState.WAITING)) == 3


def test_the_same_id_twice_says_so(joined):
    callboard(joined, "jobs", "add", "email-sync", *SYNC, "--id", "x-1")

    again = callboard(joined, "jobs", "add", "email-sync", *SYNC, "--id", "x-1")

    assert (again.returncode, again.stdout) == (0, "x-1\n")
    assert "was there already (waiting)" in again.stderr


def test_jobs_are_listed_by_state(joined, board):
    callboard(joined, "jobs", "add", "email-sync", *SYNC, "--id", "x-1")
    work(board, "email-sync", Outcome.FAILED, b'{"error": {"type": "LoginRefused", "message": "no"}}')

    failed = callboard(joined, "jobs", "list", "email-sync", "--state", "failed")
    waiting = callboard(joined, "jobs", "list", "email-sync", "--state", "waiting")

    assert "x-1" in failed.stdout
    assert "LoginRefused: no" in failed.stdout
    assert waiting.stdout == "no waiting jobs in email-sync\n"


@pytest.mark.parametrize(
    ("outcome", "code", "says"),
    [(Outcome.COMPLETED, 0, "x-1 completed after"), (Outcome.FAILED, 1, "LoginRefused: no")],
)
def test_wait_follows_the_job_and_ends_with_its_verdict(joined, board, outcome, code, says):
    adding = command("jobs", "add", "email-sync", *SYNC, "--id", "x-1", "--wait")
    with running(adding, joined) as run:
        eventually(lambda: board.list_jobs("email-sync", JobState.WAITING))
        run.line_with("x-1 waiting 0 %")
        work(board, "email-sync", outcome, b'{"error": {"type": "LoginRefused", "message": "no"}}')

        assert run.ended() == code
        run.line_with(says)


def test_watch_shows_progress_in_plain_lines_where_there_is_no_terminal(joined, board):
    callboard(joined, "jobs", "add", "email-sync", *SYNC, "--id", "x-1")
    (job,) = board.fetch(FetchRequest("w1", "t1", 1, {"email-sync": (1, None)})).jobs
    with running(command("jobs", "watch", job.id), joined) as run:
        run.line_with("x-1 active 0 %")

        board.report_progress({job.id: b'{"percent": 40, "message": "fetching"}'})

        run.line_with("x-1 active 40 % fetching")


class TestDoctor:
    def test_a_fresh_machine_is_well(self, env):
        result = callboard(env, "doctor")

        assert result.returncode == 0, result.stdout
        assert "'callboard up' will start" in result.stdout
        assert "all is well" in result.stdout
        assert not list(Path(env["CALLBOARD_HOME"]).glob("*"))  # looking leaves nothing behind

    def test_it_names_each_problem_with_its_mend(self, joined, tmp_path):
        (tmp_path / "file").touch()
        env = {**joined, "CALLBOARD_HOME": str(tmp_path / "file")}

        findings = json.loads(callboard(env, "doctor", "--json").stdout)

        problems = {one["subject"]: one for one in findings if one["status"] == "problem"}
        assert set(problems) >= {"home folder", "redis persistence", "workers"}
        assert all(one["mend"] for one in problems.values())
        assert "appendonly yes" in problems["redis persistence"]["mend"]

    def test_an_unreachable_redis_is_a_problem(self, env):
        with listen("127.0.0.1", 0) as listener:
            port = listener.getsockname()[1]

        result = callboard({**env, "REDIS_URL": f"redis://127.0.0.1:{port}"}, "doctor")

        assert result.returncode == 1
        assert f"✗ redis: Redis at 127.0.0.1:{port} cannot be reached" in result.stdout

    def test_wrong_settings_end_the_examination_with_the_key(self, env):
        result = callboard({**env, "WORKER_CONCURRENCY": "many"}, "doctor")

        assert result.returncode == 1
        assert "✗ settings:" in result.stdout
        assert "WORKER_CONCURRENCY" in result.stdout

    def test_a_taken_port_is_a_problem(self, env):
        with listen("127.0.0.1", 0) as listener:
            port = str(listener.getsockname()[1])
            result = callboard({**env, "CALLBOARD_API__PORT": port}, "doctor")

        assert "✗ API port" in result.stdout
