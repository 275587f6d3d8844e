"""`callboard jobs`: why a job waits, and what an operator does to it."""

import json
import os
import signal
import stat

import pytest

from jobs.model import FetchRequest, NewJob, Outcome
from jobs.states import JobState
from tests.control.board import work
from tests.control.running import callboard, refused
from tests.sealed import signed

QUEUE = "email-sync"


def put(store, *ids, **options):
    store.enqueue([signed(NewJob(job_id, QUEUE, "email_sync", b"", **options)) for job_id in ids])


def fail(store, *ids, error="LoginRefused", **options):
    put(store, *ids, **options)
    for _ in ids:
        work(store, QUEUE, Outcome.FAILED, b'{"error": {"type": "%s"}}' % error.encode())


def test_why_is_said_in_sentences(here, memory):
    put(memory, "acme~invoice-7", lane="acme", delay_ms=60_000)

    said = here("jobs", "why", "acme~invoice-7").stdout.splitlines()

    assert said[0] == "acme~invoice-7 is delayed in email-sync"
    assert said[1].startswith("  It is delayed until ")
    assert said[2] == "  No living worker serves the queue email-sync."
    assert json.loads(here("jobs", "why", "acme~invoice-7", "--json").stdout)["state"] == "delayed"


def test_a_delayed_job_is_promoted(here, memory):
    put(memory, "j1", delay_ms=60_000)

    result = here("jobs", "promote", "j1")

    assert (result.returncode, result.stdout) == (0, "job 'j1' may start now\n")
    assert memory.get("j1").state is JobState.WAITING


def test_a_priority_is_given_to_several(here, memory):
    put(memory, "a", "b")

    assert here("jobs", "priority", "1", "a", "b").returncode == 0
    assert [memory.get(job_id).priority for job_id in ("a", "b")] == [1, 1]


def test_cancel_says_what_became_of_each_and_fails_when_one_was_too_late(here, memory):
    put(memory, "runs")
    memory.fetch(FetchRequest("w1", "t1", 1, {QUEUE: 1}))
    put(memory, "waits")

    result = here("jobs", "cancel", "waits", "runs", "nobody", "--reason", "sent twice")

    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        "job 'waits' is cancelled",
        "job 'runs' runs; its worker was told to cancel it",
    ]
    assert "there is no job 'nobody'" in result.stderr
    assert memory.get("waits").record == b'{"error":{"type":"Cancelled","message":"sent twice"}}'


def test_the_answers_come_as_json_too(here, memory):
    put(memory, "j1")

    (answer,) = json.loads(here("jobs", "cancel", "j1", "--json").stdout)

    assert answer == {"id": "j1", "done": True, "outcome": "done", "message": "job 'j1' is cancelled"}


def test_a_job_that_runs_is_not_removed(here, memory):
    put(memory, "j1")
    memory.fetch(FetchRequest("w1", "t1", 1, {QUEUE: 1}))

    assert "a job that runs can only be cancelled" in refused(here("jobs", "remove", "j1"))


def test_a_dead_letter_runs_again(here, memory):
    fail(memory, "j1")

    assert here("jobs", "retry", "j1").stdout == "job 'j1' waits to run again\n"
    assert memory.get("j1").state is JobState.WAITING


class TestRetryFailed:
    def test_without_yes_they_are_only_counted(self, here, memory):
        fail(memory, "a", "b")
        fail(memory, "c", error="Timeout")

        result = here("jobs", "retry-failed", "--queue", QUEUE)

        assert result.returncode == 0
        assert result.stdout.splitlines() == [
            "        2 LoginRefused",
            "        1 Timeout",
            "3 would run again; add --yes to do it",
        ]
        assert memory.stats([QUEUE])[0].failed == 3

    def test_with_yes_those_that_fit_run_again(self, here, memory):
        fail(memory, "a", lane="acme")
        fail(memory, "b")
        fail(memory, "c", error="Timeout", lane="acme")

        result = here("jobs", "retry-failed", "--tenant", "acme", "--error", "LoginRefused", "--yes")

        assert result.stdout.splitlines()[-1] == "1 job run again"
        assert [job.id for job in memory.list_jobs(QUEUE, JobState.WAITING)] == ["a"]

    def test_a_span_of_time_may_be_given_as_ago(self, here, memory):
        fail(memory, "a")

        assert here("jobs", "retry-failed", "--until", "1h").stdout == "no dead letter fits\n"
        assert "1 would run again" in here("jobs", "retry-failed", "--since", "1h").stdout

    @pytest.mark.parametrize(
        ("option", "value", "says"),
        [
            ("--since", "soon", "since: write a moment as 2026-03-01T08:00, or a time ago as 2h"),
            ("--queue", "email-sinc", "did you mean email-sync"),
        ],
    )
    def test_what_is_wrong_is_said_in_one_sentence(self, here, memory, option, value, says):
        assert says in refused(here("jobs", "retry-failed", option, value))

    def test_ctrl_c_ends_it_after_the_page_under_way_and_says_what_was_done(self, here, memory, monkeypatch):
        memory.enqueue([NewJob("other", "webhook-deliver", "webhook_deliver", b"")])
        work(memory, "webhook-deliver", Outcome.FAILED)
        fail(memory, "a", "b")
        retry = memory.retry_dead

        def and_press(job_ids, **more):
            os.kill(os.getpid(), signal.SIGINT)
            return retry(job_ids, **more)

        monkeypatch.setattr(memory, "retry_dead", and_press)

        result = here("jobs", "retry-failed", "--yes")

        assert result.returncode == 130
        assert result.stdout.splitlines()[-1] == "stopped: 2 of 3 jobs run again; run it again to go on"


def test_what_an_operator_did_is_in_a_file_that_nobody_else_reads(here, memory, tmp_path):
    put(memory, "j1")

    here("jobs", "cancel", "j1")

    journal = tmp_path / "operators.log"
    (line,) = journal.read_text().splitlines()
    assert line.endswith('job.cancel job="j1" outcome="done"')
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600


def test_where_the_journal_cannot_be_written_the_line_is_said(here, memory, tmp_path):
    (tmp_path / "operators.log").mkdir()
    put(memory, "j1")

    result = here("jobs", "cancel", "j1")

    assert result.returncode == 0
    assert "operators.log cannot be written (is a directory)" in result.stderr
    assert 'job.cancel job="j1"' in result.stderr


def test_jobs_of_a_real_server_are_reached(joined, board):
    put(board, "acme~j1", "j2", lane="acme", delay_ms=600_000)
    fail(board, "j3")

    assert "It is delayed until" in callboard(joined, "jobs", "why", "acme~j1").stdout
    assert callboard(joined, "jobs", "promote", "acme~j1").returncode == 0
    assert callboard(joined, "jobs", "cancel", "j2").stdout == "job 'j2' is cancelled\n"
    assert "1 job run again" in callboard(joined, "jobs", "retry-failed", "--queue", QUEUE, "--yes").stdout
    assert {job.id for job in board.list_jobs(QUEUE, JobState.WAITING)} == {"acme~j1", "j3"}
