"""The audit as people read it: through the service, the API and the command line."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from actors.audit_lag import AuditLag
from actors.composition import App
from broker.redis.connection import RedisAddress
from broker.redis.topology import Topology
from control.service import AuditReports
from control.service.checks.audit import lag as check_lag
from control.service.errors import NotAllowed
from control.service.requests import AuditRange
from database.audit import AuditWriter
from database.engine import write_session
from jobs.events import AttemptDetail
from jobs.model import NewJob
from tests.control.asking import error_of
from tests.control.board import small_app, work
from tests.control.running import callboard
from tests.database.events import a_failure, an_event
from tests.tables import give_tables

KEY = "random text of thirty-two letters"
EVER = AuditRange(since=datetime(2020, 1, 1, tzinfo=UTC))


def fill(app: App) -> None:
    """An hour ago acme and bolt had a job each that completed, and acme one that failed after 90 s."""
    now = round((datetime.now(UTC) - timedelta(hours=1)).timestamp() * 1000)
    times = {"created_at": now, "ready_at": now, "started_at": now + 20, "finished_at": now + 1_020}
    late = {**times, "finished_at": now + 90_020}
    timeout = AttemptDetail(error_type="TimeoutError", error_message="too slow", fingerprint="f00d")
    AuditWriter(app.engine(), app.chain_keys()).write(
        [
            an_event(job_id="acme~done", **times),
            an_event(job_id="bolt~done", lane="bolt", **times),
            a_failure(job_id="acme~failed", queue="count", detail=timeout.to_bytes(), **late),
        ]
    )


@pytest.fixture
def filled(ruled: App) -> App:
    fill(ruled)
    return ruled


@pytest.fixture
def read(api, served):
    """Ask the API for a report over rows of this test alone."""
    app, _ = served
    with write_session(app.engine()) as session:
        for table in ("job_executions", "audit_batches", "operator_actions"):
            session.execute(text(f"DELETE FROM {table}"))
        session.execute(text("UPDATE audit_chains SET number = 0, hash = cut_hash, at = '', seal = ''"))
    fill(app)

    def ask(report: str, **query: object):
        response = api.get(f"/api/v1/audit/{report}", params=query)
        assert response.status_code == 200, response.text
        return response.json()

    return ask


def test_the_seven_reports_tell_of_the_last_day(filled):
    reports, asked = AuditReports(filled, "ada"), AuditRange()
    statistics = reports.statistics(asked)
    assert (statistics.total.attempts, statistics.success_rate) == (3, 0.666667)
    assert [one.queue for one in statistics.queues] == ["count", "email-sync"]
    assert [one.job_id for one in reports.recent_failures(asked)] == ["acme~failed"]
    assert [one.fingerprint for one in reports.error_analysis(asked).errors] == ["f00d"]
    assert [one.run_ms for one in reports.slow_jobs(asked)] == [90_000]
    assert [one.attempts for one in reports.worker_statistics(asked)] == [3]
    count, email = reports.performance_metrics(asked).queues
    assert (count.failed_rate, count.first_try_rate, count.run_ms.p95) == (1.0, 0.0, 90_000)
    assert (email.failed_rate, email.first_try_rate, email.recovered_rate) == (0.0, 1.0, None)
    assert reports.clean().executions == 0


def test_whoever_is_bound_to_a_tenant_sees_its_rows_alone(filled):
    theirs = AuditReports(filled, "bolt-key", tenant="bolt")
    assert theirs.statistics(AuditRange()).total.attempts == 1
    assert theirs.statistics(AuditRange(tenant_id="bolt")).tenant_id == "bolt"
    assert theirs.recent_failures(EVER) == []
    assert theirs.error_analysis(EVER).errors == []
    assert theirs.slow_jobs(EVER, 0)[0].job_id == "bolt~done"
    assert [one.attempts for one in theirs.worker_statistics(EVER)] == [1]
    assert [one.queue for one in theirs.performance_metrics(EVER).queues] == ["email-sync"]
    AuditReports(filled, "ada").clean()
    assert theirs.actions() == []


@pytest.mark.parametrize("other", ["acme", ""])
def test_another_tenant_is_refused_to_it(filled, other):
    theirs = AuditReports(filled, "bolt-key", tenant="bolt")
    with pytest.raises(NotAllowed, match="its own tenant"):
        theirs.statistics(AuditRange(tenant_id=other))
    for whole in (theirs.clean, theirs.verify, lambda: list(theirs.clean_all())):
        with pytest.raises(NotAllowed):
            whole()


def test_a_clean_up_says_when_there_is_more(filled):
    done = AuditReports(filled, "ada").clean(timedelta(days=-1), limit=1)
    assert (done.executions, done.more) == (3, True)


def test_with_a_key_in_the_settings_the_chain_is_signed(store, tmp_path):
    app = small_app(store, tmp_path, audit={"key": KEY})
    give_tables(app.engine())
    fill(app)
    assert [one.keyed for one in AuditReports(app, "ada").verify()] == [True, True]
    with write_session(app.engine()) as session:
        session.execute(text("UPDATE audit_batches SET key_id = ''"))
    assert AuditReports(app, "ada").verify()[0].broken == "batch 1 was written without a key"
    app.engine().dispose()


def test_the_reports_are_in_the_api(read):
    assert read("statistics", tenantId="acme")["total"]["attempts"] == 2
    assert read("statistics", queue="count")["total"]["failed"] == 1
    assert read("failures")[0]["errorMessage"] == "too slow"
    assert read("failures", tenantId="bolt") == []
    assert read("errors")["errors"][0]["lastJobId"] == "acme~failed"
    assert read("slow", thresholdMs=90_001) == []
    assert read("workers")[0]["busyMs"] == 92_000
    assert read("performance")["queues"][0]["queue"] == "count"
    assert (
        read("statistics", since="2020-01-01T00:00:00Z", until="2020-01-02T00:00:00Z")["successRate"] is None
    )


def test_what_operators_do_over_the_api_is_there(api, read):
    api.post("/api/v1/queues/email-sync/pause", json={"tenantId": "acme"})
    api.post("/api/v1/audit/clean", json={"olderThanDays": 90})

    clean, pause = read("actions")
    assert (pause["operator"], pause["action"], pause["tenantId"]) == ("api", "pause", "acme")
    assert (clean["action"], clean["parameters"]) == ("audit.clean", {"older_than_days": 90.0})
    assert read("actions", tenantId="bolt") == []


@pytest.mark.parametrize(
    "query", ["since=yesterday", "since=2026-03-01T08:00:00", "limit=0", "limit=x", "thresholdMs=-1"]
)
def test_a_report_that_cannot_be_made_names_the_field(api, query):
    response = api.get(f"/api/v1/audit/slow?{query}")
    assert response.status_code == 422
    assert error_of(response).field == query.partition("=")[0]


def test_rows_younger_than_a_day_are_not_cleaned_over_the_api(api):
    response = api.post("/api/v1/audit/clean", json={"olderThanDays": 0.5})
    assert (response.status_code, error_of(response).field) == (422, "olderThanDays")


def test_without_the_key_nothing_of_the_audit_is_shown(bare, served, api):
    assert bare.get(f"{api.base_url}/api/v1/audit/statistics").status_code == 401


# The command line


@pytest.fixture
def command(here, memory):
    """`callboard audit …` over rows of this test."""
    from actors import app as platform

    give_tables(platform.engine())
    fill(platform)
    return lambda *words: here("audit", *words)


def test_each_report_has_a_command(command):
    assert "success: 66.67%" in command("stats").stdout
    assert "too slow" in command("failures").stdout
    assert "f00d" in command("errors").stdout
    assert "90 s" in command("slow").stdout or "1 min 30 s" in command("slow").stdout
    assert "host:1:abc" in command("workers").stdout
    assert "count" in command("performance").stdout
    assert command("failures", "--tenant", "bolt").stdout == "no job failed for good\n"
    assert '"attempts": 3' in command("stats", "--json").stdout


def test_old_rows_go_only_when_it_is_said(command):
    assert "add --yes" in command("clean", "--older-than", "0s").stdout
    assert "all" in command("stats").stdout
    result = command("clean", "--older-than", "0s", "--yes")
    assert (result.returncode, result.stdout.splitlines()[-1]) == (
        0,
        "removed 3 attempts and 0 rows of what operators did",
    )
    assert "audit.clean" in command("actions").stdout


def test_a_chain_that_holds_is_said_with_its_head(command):
    result = command("verify")
    assert result.returncode == 0
    assert "executions: holds, 3 rows in 1 links; its head is 1:" in result.stdout
    assert "made without a key" in result.stdout
    head = result.stdout.split("its head is ")[1].splitlines()[0]
    assert command("verify", "--noted", f"executions={head}").returncode == 0
    other = command("verify", "--noted", f"executions=1:{'0' * 64}")
    assert (other.returncode, "is not the one that was noted" in other.stdout) == (1, True)
    assert command("verify", "--noted", "executions=x").stderr.startswith("callboard: noted: a head is")


def test_a_chain_that_is_broken_ends_with_1_and_the_place(command):
    from actors import app as platform

    with write_session(platform.engine()) as session:
        session.execute(text("UPDATE job_executions SET tenant_id = 'acme' WHERE id = 3"))
    result = command("verify")
    assert result.returncode == 1
    assert "executions: BROKEN: row 3 in batch 1 was changed" in result.stdout
    assert "operators: holds" in result.stdout


# How far it is behind


def finish(store) -> None:
    """A job of which the audit has no row yet."""
    store.enqueue([NewJob("j1", "email-sync", "email_sync", b"")])
    work(store, "email-sync")


@pytest.fixture
def topology(redis_url, namespace) -> Topology:
    return Topology(lambda: RedisAddress(redis_url), namespace)


@pytest.fixture
def behind(reached, topology, monkeypatch, here):
    """What doctor says of the audit's lag on a real server."""
    from actors import app as platform

    monkeypatch.setattr(platform, "audit_lag", AuditLag(lambda: topology))
    return lambda: check_lag(platform)


def test_rows_that_keep_up_are_well(board, joined):
    finish(board)
    board.ack_events("audit", [event.id for event in board.read_events("audit", "w1").events])
    assert callboard(joined, "health", "audit").stdout == "no attempt waits to be stored\n"


def test_rows_that_wait_are_told_and_are_a_problem_when_they_wait_long(reached, behind, monkeypatch):
    finish(reached)
    found = behind()
    assert (found.status, found.text.startswith("1 entries of attempts wait")) == ("ok", True)

    monkeypatch.setattr("control.service.checks.audit.TOO_OLD_MS", -1)
    found = behind()
    assert (found.status, "their logs say why" in found.mend) == ("problem", True)


def test_doctor_tells_the_lag(joined, board):
    finish(board)
    found = json.loads(callboard(joined, "doctor", "--json").stdout)
    (audit,) = [one for one in found if one["subject"] == "audit"]
    assert "1 entries of attempts wait for their rows" in audit["text"]


def test_a_scrape_tells_the_lag_of_this_process_and_of_all(topology, board, ruled):
    lag = AuditLag(lambda: topology)
    finish(board)
    writer = lag.watch(AuditWriter(ruled.engine()))
    assert {one.name: one.rows[0][1] for one in lag.gauges()}["callboard_audit_behind_entries"] == 1
    writer.held_since = 1
    held = {one.name: one.rows[0][1] for one in lag.gauges()}["callboard_audit_held_seconds"]
    assert held > 1_000_000
