"""What somebody meets in the first hour: jobs nobody takes, dead letters, long lists, retries, each flag."""

import json

import pytest

from actors import app as platform
from control.cli.watching import follow_job
from control.service import JobService
from control.service.checks.servers import redis
from control.service.names import own_queues
from jobs.model import FetchRequest, NewJob, Outcome, Verdict, WorkerInfo
from jobs.states import JobState
from tests.control.board import work
from tests.tables import give_tables

QUEUE = "email-sync"


def put(store, *ids, **options):
    store.enqueue([NewJob(job_id, QUEUE, "email_sync", b"", **options) for job_id in ids])


def take(store, call):
    (job,) = store.fetch(FetchRequest("w1", call, 1, {QUEUE: 1})).jobs
    return job


def test_waiting_for_a_job_that_no_worker_serves_says_so_once(memory, capsys):
    put(memory, "j1")
    waited = []

    def pause(seconds):
        waited.append(seconds)
        if sum(waited) > 7:
            memory.cancel(["j1"], "enough")

    assert follow_job(JobService(platform), "j1", pause) == 1

    said = capsys.readouterr().err
    assert said.count("No living worker serves the queue email-sync.") == 1
    assert "Start one, or restart it if the actor is new." in said


def test_waiting_for_a_job_that_a_worker_serves_says_nothing(memory, capsys):
    memory.register(WorkerInfo("w", "vm", 1, "0.1", 8, (QUEUE,), 1_000), lease_ms=60_000)
    put(memory, "j1")
    waited = []

    def pause(seconds):
        waited.append(seconds)
        if sum(waited) > 5:
            memory.cancel(["j1"], "enough")

    follow_job(JobService(platform), "j1", pause)

    assert capsys.readouterr().err == ""


def test_a_retry_is_told_with_its_reason_and_the_result_comes_at_the_end(memory, capsys):
    put(memory, "j1")
    failed = b'{"error":{"type":"Timeout","message":"too slow"}}'

    def fail():
        job = take(memory, "first")
        memory.settle("w1", [Verdict(job.id, job.token, Outcome.RETRY, record=failed, delay_ms=5_000)])

    def succeed():
        memory.promote(["j1"])
        job = take(memory, "second")
        done = b'{"result":{"sent":3}}'
        memory.settle("w1", [Verdict(job.id, job.token, Outcome.COMPLETED, record=done)])

    steps = iter([fail, succeed])

    assert follow_job(JobService(platform), "j1", lambda seconds: next(steps)()) == 0

    said = capsys.readouterr().out
    assert "attempt 1 failed: Timeout: too slow, again in 5 s" in said
    assert json.loads(said[said.index("{") :]) == {"sent": 3}


def test_the_doctor_names_queues_that_no_living_worker_serves(board, reached):
    others = tuple(queue for queue in own_queues(platform) if queue != QUEUE)
    board.register(WorkerInfo("w", "vm", 1, "0.1", 8, others, 1_000), lease_ms=60_000)
    finding = _workers()
    assert (finding.status, finding.text) == ("problem", "no living worker serves email-sync")

    board.register(WorkerInfo("v", "vm", 2, "0.1", 8, (QUEUE,), 1_000), lease_ms=60_000)
    assert _workers().status == "ok"


def _workers():
    from settings import load_settings

    return next(found for found in redis(load_settings(), platform) if found.subject == "workers")


@pytest.mark.parametrize("flag", ["--cap", "--rate", "--lane-cap", "--lane-rate"])
def test_each_limit_of_a_queue_takes_none_and_settings(here, memory, flag):
    give_tables(platform.engine())
    for value in ("none", "settings", "7/s" if flag.endswith("rate") else "7"):
        result = here("queues", "set", QUEUE, flag, value)
        assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("flag", ["--cap", "--rate", "--weight"])
def test_each_limit_of_a_tenant_takes_settings_and_a_cap_or_rate_none(here, memory, flag):
    give_tables(platform.engine())
    for value in ("settings", "2/s" if flag == "--rate" else "2", *(["none"] if flag != "--weight" else [])):
        result = here("tenants", "set", "acme", flag, value, "--queue", QUEUE)
        assert result.returncode == 0, result.stderr


def test_a_dead_letter_queue_lists_what_was_routed_to_it(here, memory):
    put(memory, "j1")
    work(memory, QUEUE, Outcome.FAILED, b'{"error": {"type": "Timeout"}}')
    letters = memory.get("j1").dead_letter

    assert "j1" in here("jobs", "list", letters).stdout
    assert here("jobs", "list", letters, "--state", "waiting").stdout == f"no waiting jobs in {letters}\n"


def test_a_list_that_was_cut_says_how_many_there_are(here, memory):
    put(memory, *(f"j{number}" for number in range(7)))

    cut = here("jobs", "list", QUEUE, "--limit", "3").stdout.splitlines()

    assert cut[-1] == "3 of 7 waiting; --limit shows more"
    assert "--limit" not in here("jobs", "list", QUEUE, "--limit", "7").stdout


def test_the_options_of_a_job_are_those_that_its_actor_declares(memory, monkeypatch):
    actor = platform.broker.get_actor("email_sync")
    monkeypatch.setitem(actor.options, "time_limit", 4_000)
    monkeypatch.setitem(actor.options, "backoff", {"type": "fixed", "delay": 700})
    put(memory, "j1")

    options = JobService(platform).get("j1").opts

    assert (options.timeout, options.backoff.type, options.backoff.delay) == (4_000, "fixed", 700)
    assert memory.get("j1").state is JobState.WAITING


def test_no_page_of_the_api_points_to_papers_that_its_readers_do_not_have():
    from control.api.application import create_api

    shown = json.dumps(create_api(platform).openapi())
    assert [word for word in ("CATALOGUE", "(S0", "(S1", "(S2", "(S3") if word in shown] == []
