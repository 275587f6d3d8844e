"""The figures over the audit that S3 asks for: by tenant, range and queue, on both databases."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from database.audit import AuditWriter
from database.audit_figures import AuditFigures, Cost, Percentiles, Wanted
from jobs.events import AttemptDetail
from jobs.model import Outcome
from jobs.states import JobState
from tests.database.events import START, a_failure, an_event

AT = datetime.fromtimestamp(START / 1000, UTC)
HOUR = Wanted(AT - timedelta(minutes=30), AT + timedelta(minutes=30))


def a_timeout(**changes: str) -> bytes:
    detail = {"error_type": "TimeoutError", "error_code": "timeout", "fingerprint": "f00d"}
    return AttemptDetail(**{**detail, **changes}).to_bytes()


@pytest.fixture
def figures(engine: Engine) -> AuditFigures:
    """Of acme: a job at once, a job with its second attempt, a job that failed; of bolt: one job."""
    paid = AttemptDetail(cost="0.25", cost_unit="usd").to_bytes()
    again = a_timeout(error_message="first")
    AuditWriter(engine).write(
        [
            an_event(job_id="at-once", detail=paid),
            an_event(job_id="later", token=1, outcome=Outcome.RETRY, state=JobState.DELAYED, detail=again),
            an_event(job_id="later", token=2, attempt=2, started_at=START + 110, detail=paid),
            a_failure(
                job_id="never",
                queue="pdf-generate",
                finished_at=START + 120_035,
                owner="host:2:def",
                detail=a_timeout(error_message="last", worker="mail-2"),
            ),
            an_event(job_id="theirs", lane="bolt"),
        ]
    )
    return AuditFigures(engine)


def test_attempts_are_summed_over_all_and_by_queue(figures: AuditFigures) -> None:
    total, email, pdf = figures.by_queue(HOUR)
    assert (total.queue, email.queue, pdf.queue) == (None, "email-sync", "pdf-generate")
    assert (total.attempts, total.jobs, total.completed, total.failed, total.retried) == (5, 4, 3, 1, 1)
    assert (email.attempts, email.first_try, email.recovered) == (4, 2, 1)
    assert (pdf.mean_run_ms, pdf.longest_run_ms, pdf.mean_wait_ms) == (120_000, 120_000, 25)


def test_a_tenant_sees_only_its_own(figures: AuditFigures) -> None:
    theirs = HOUR._replace(tenant_id="bolt")
    assert figures.by_queue(theirs)[0].attempts == 1
    assert figures.failures(theirs, 50) == []
    assert figures.errors(theirs) == []
    assert figures.slow(theirs, 60_000, 50) == []
    assert figures.costs(theirs) == []
    assert [one.attempts for one in figures.workers(theirs)] == [1]
    assert figures.by_queue(HOUR._replace(tenant_id=""))[0].attempts == 0


def test_what_ended_before_or_after_the_range_does_not_count(figures: AuditFigures) -> None:
    end = AT + timedelta(milliseconds=120_035)
    assert figures.by_queue(HOUR._replace(since=end))[0].attempts == 1
    assert figures.by_queue(HOUR._replace(until=end))[0].attempts == 4
    (total,) = figures.by_queue(HOUR._replace(until=HOUR.since))
    assert (total.attempts, total.completed, total.mean_run_ms, total.longest_run_ms) == (0, 0, None, None)


def test_costs_are_summed_by_unit(figures: AuditFigures) -> None:
    assert figures.costs(HOUR) == [Cost("usd", 0.5)]


def test_failures_are_those_for_good_newest_first(figures: AuditFigures) -> None:
    (failed,) = figures.failures(HOUR, 50)
    assert (failed.job_id, failed.error_message) == ("never", "last")


def test_errors_are_grouped_by_cause_with_the_last_message(figures: AuditFigures) -> None:
    (cause,) = figures.errors(HOUR)
    assert (cause.fingerprint, cause.error_type, cause.error_code) == ("f00d", "TimeoutError", "timeout")
    assert (cause.attempts, cause.final, cause.jobs, cause.tenants) == (2, 1, 2, 1)
    assert (cause.last_job_id, cause.last_message) == ("never", "last")
    assert cause.first_at == AT + timedelta(milliseconds=1_035)
    assert cause.last_at == AT + timedelta(milliseconds=120_035)


def test_slow_attempts_are_those_from_the_threshold_on_longest_first(figures: AuditFigures) -> None:
    assert [row.job_id for row in figures.slow(HOUR, 120_000, 50)] == ["never"]
    assert figures.slow(HOUR, 120_001, 50) == []
    assert [row.job_id for row in figures.slow(HOUR, 0, 2)] == ["never", "theirs"]


def test_workers_are_told_with_the_busiest_first(figures: AuditFigures) -> None:
    two, one = figures.workers(HOUR)
    assert (two.worker, two.name, two.attempts, two.failed, two.busy_ms) == (
        "host:2:def",
        "mail-2",
        1,
        1,
        120_000,
    )
    assert (one.worker, one.attempts, one.completed, one.failed) == ("host:1:abc", 4, 3, 1)


@pytest.mark.parametrize(
    ("count", "spans"), [(1, (1, 1, 1)), (2, (1, 2, 2)), (100, (50, 95, 99)), (200, (100, 190, 198))]
)
def test_percentiles_are_what_so_many_did_not_exceed(
    engine: Engine, count: int, spans: tuple[int, int, int]
) -> None:
    AuditWriter(engine).write(
        [
            an_event(job_id=f"job-{ms}", started_at=START + 10 + ms, finished_at=START + 10 + 2 * ms)
            for ms in range(count, 0, -1)
        ]
    )
    figures = AuditFigures(engine)
    assert figures.run_percentiles(HOUR) == [Percentiles("email-sync", *spans)]
    assert figures.wait_percentiles(HOUR) == [Percentiles("email-sync", *spans)]
