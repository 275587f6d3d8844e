"""The `callboard` command: exit codes, and one sentence for each thing that can be wrong."""

import io
import json
import resource
from pathlib import Path

import pytest

from control.api.keys import KeyFile
from control.api.serve import listen
from jobs.model import FetchRequest, NewJob, Outcome
from jobs.states import JobState
from tests.control.board import work
from tests.control.running import callboard, command, on_a_terminal, refused, running

SYNC = ("user_id=u1", "account_id=a1")


def test_help_is_there_at_once(env):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = callboard(env, "--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)

    assert result.returncode == 0
    for name in ("up", "demo", "doctor", "jobs", "api", "config", "api-key"):
        assert name in result.stdout
    # 0.3 s of the processor, however busy it is; imports of the heavy libraries would take longer.
    assert after.ru_utime - before.ru_utime < 1


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("nonsense",), 2, "No such command 'nonsense'"),
        (("jobs", "get"), 2, "Missing argument"),
        (("jobs", "list", "email-sync", "--state", "asleep"), 2, "Invalid value for '--state'"),
        (("jobs", "add", "email-sync", "--priority", "11"), 2, "Invalid value for '--priority'"),
        (("jobs", "get", "j1"), 1, "there is no job 'j1'"),
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
def test_what_is_wrong_is_said_in_one_sentence(here, memory, arguments, code, says):
    assert says in refused(here(*arguments), code)


def test_without_any_redis_the_mend_is_told(env):
    assert "set REDIS_URL, or run `make up`" in refused(callboard(env, "jobs", "get", "j1"))


def test_a_misspelt_setting_is_refused_with_the_nearest(env):
    result = callboard({**env, "CALLBOARD_HOMME": "/x"}, "config", "show")

    assert "did you mean CALLBOARD_HOME?" in refused(result)


def test_an_unreachable_redis_is_named_without_its_password(env, closed_port):
    result = callboard({**env, "REDIS_URL": f"redis://:hunter2@127.0.0.1:{closed_port}"}, "jobs", "get", "j1")

    assert f"127.0.0.1:{closed_port}" in refused(result)
    assert "hunter2" not in result.stderr


def test_a_traceback_is_there_for_those_who_ask(env):
    result = callboard({**env, "CALLBOARD_DEBUG": "1"}, "jobs", "get", "j1")

    assert result.returncode == 1
    assert "Traceback" in result.stderr


def test_the_configuration_is_shown_without_its_secrets(here, monkeypatch):
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@cache:6379")

    table = here("config", "show", "redis").stdout
    lines = json.loads(here("config", "show", "redis", "--json").stdout)

    assert "hunter2" not in table
    (url,) = [line for line in lines if line["key"] == "redis.url"]
    assert url == {
        "key": "redis.url",
        "value": "redis://:********@cache:6379",
        "source": "environment REDIS_URL",
    }


def test_rotate_prints_a_new_key_that_fits(here, monkeypatch, tmp_path):
    monkeypatch.setenv("CALLBOARD_HOME", str(tmp_path))

    result = here("api-key", "rotate")

    assert result.returncode == 0
    assert KeyFile(tmp_path).matches(result.stdout.strip())


def test_a_job_is_added_with_its_options_and_shown(here, memory):
    added = here(
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
    job = json.loads(here("jobs", "get", "x-1", "--json").stdout)
    assert job["state"] == "delayed"
    assert job["data"]["user_id"] == "u1"
    assert job["opts"]["priority"] == 3
    assert job["opts"]["attempts"] == 4
    assert job["opts"]["delay"] == 5_000
    assert job["opts"]["backoff"] == {"type": "fixed", "delay": 2_000}
    assert job["opts"]["timeout"] == 60_000
    assert "x-1" in here("jobs", "get", "x-1").stdout


def test_arguments_come_from_json_a_file_or_standard_input(here, memory, monkeypatch, tmp_path):
    text = '{"userId": "u1", "accountId": "a1"}'
    (tmp_path / "job.json").write_text(text)
    monkeypatch.setattr("sys.stdin", io.StringIO(text))

    for source in (text, f"@{tmp_path / 'job.json'}", "@-"):
        assert here("jobs", "add", "email-sync", "--json", source).returncode == 0

    assert len(memory.list_jobs("email-sync", JobState.WAITING)) == 3


def test_the_same_id_twice_says_so(here, memory):
    here("jobs", "add", "email-sync", *SYNC, "--id", "x-1")

    again = here("jobs", "add", "email-sync", *SYNC, "--id", "x-1")

    assert (again.returncode, again.stdout) == (0, "x-1\n")
    assert "was there already (waiting)" in again.stderr


def test_jobs_are_listed_by_state(here, memory):
    here("jobs", "add", "email-sync", *SYNC, "--id", "x-1")
    work(memory, "email-sync", Outcome.FAILED, b'{"error": {"type": "LoginRefused", "message": "no"}}')

    failed = here("jobs", "list", "email-sync", "--state", "failed")
    waiting = here("jobs", "list", "email-sync", "--state", "waiting")

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
        run.line_with("x-1 waiting 0 %")
        work(board, "email-sync", outcome, b'{"error": {"type": "LoginRefused", "message": "no"}}')

        assert run.ended() == code
        run.line_with(says)


def test_watch_shows_progress_in_plain_lines_where_there_is_no_terminal(joined, board):
    board.enqueue([NewJob("x-1", "email-sync", "email_sync", b"")])
    (job,) = board.fetch(FetchRequest("w1", "t1", 1, {"email-sync": 1})).jobs
    with running(command("jobs", "watch", job.id), joined) as run:
        run.line_with("x-1 active 0 %")

        board.report_progress("w1", {job.id: (job.token, b'{"percent": 40, "message": "fetching"}')})

        run.line_with("x-1 active 40 % fetching")


def test_watch_draws_a_bar_on_a_terminal(joined, board):
    board.enqueue([NewJob("x-1", "email-sync", "email_sync", b"")])
    with on_a_terminal(command("jobs", "watch", "x-1"), joined) as screen:
        screen.line_with("waiting")

        work(board, "email-sync")

        assert screen.ended() == 0
        screen.line_with("x-1 completed")
    assert any("━" in line for line in screen.lines)


class TestDoctor:
    def test_a_fresh_machine_is_well(self, env):
        result = callboard(env, "doctor")

        assert result.returncode == 0, result.stdout
        assert "'callboard up' will start" in result.stdout
        assert "all is well" in result.stdout
        assert not list(Path(env["CALLBOARD_HOME"]).glob("*"))  # looking leaves nothing behind

    def test_it_names_each_problem_with_its_mend(self, joined, tmp_path):
        (tmp_path / "file").touch()
        with listen("127.0.0.1", 0) as listener:
            port = str(listener.getsockname()[1])
            env = {**joined, "CALLBOARD_HOME": str(tmp_path / "file"), "CALLBOARD_API__PORT": port}
            result = callboard(env, "doctor", "--json")

        problems = {one["subject"]: one for one in json.loads(result.stdout) if one["status"] == "problem"}
        assert result.returncode == 1
        assert set(problems) >= {"home folder", "API port", "redis persistence", "workers"}
        assert all(one["mend"] for one in problems.values())
        assert "appendonly yes" in problems["redis persistence"]["mend"]

    def test_an_unreachable_redis_is_a_problem(self, env, closed_port):
        result = callboard({**env, "REDIS_URL": f"redis://127.0.0.1:{closed_port}"}, "doctor")

        assert result.returncode == 1
        assert f"✗ redis: Redis at 127.0.0.1:{closed_port} cannot be reached" in result.stdout

    def test_a_redis_that_refuses_the_password_need_not_be_started(self, env, redis_address):
        url = redis_address.url.replace("redis://:", "redis://:wrong", 1)

        result = callboard({**env, "REDIS_URL": url}, "doctor")

        assert result.returncode == 1
        assert "refuses the user name or password" in result.stdout
        assert "start it" not in result.stdout

    def test_wrong_settings_end_the_examination_with_the_key(self, here, monkeypatch):
        monkeypatch.setenv("WORKER_CONCURRENCY", "many")

        result = here("doctor")

        assert result.returncode == 1
        assert "✗ settings:" in result.stdout
        assert "WORKER_CONCURRENCY" in result.stdout
