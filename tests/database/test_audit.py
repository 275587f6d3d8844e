"""The audit of attempts: what an event becomes, and that none is lost or doubled."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from database.audit import AuditReader, AuditWriter
from database.errors import DatabaseUnavailable
from jobs.events import AttemptDetail
from jobs.model import Outcome
from jobs.states import JobState
from tests.database.conftest import Outage, engine_at
from tests.database.events import START, a_failure, an_event


@pytest.fixture
def writer(engine: Engine) -> AuditWriter:
    return AuditWriter(engine)


@pytest.fixture
def reader(engine: Engine) -> AuditReader:
    return AuditReader(engine)


def test_a_row_tells_everything_about_an_attempt(writer: AuditWriter, reader: AuditReader) -> None:
    detail = AttemptDetail(
        worker="mail-1",
        user_id="u1",
        error_type="TimeoutError",
        error_code="retryable",
        error_message="the mail server’s answer took too long",
        stack="sync.py:12 fetch",
        fingerprint="f00d",
        input_digest="d1gest",
        reason="3 of 3 attempts failed",
    )
    writer.write([a_failure(attempt=3, token=4, detail=detail.to_bytes())])

    [row] = reader.attempts("job-1")
    at = datetime.fromtimestamp(START // 1000, UTC) + timedelta(milliseconds=START % 1000)
    assert (row.job_id, row.attempt, row.token) == ("job-1", 3, 4)
    assert (row.queue, row.actor) == ("email-sync", "email_sync")
    assert (row.tenant_id, row.user_id) == ("acme", "u1")
    assert (row.outcome, row.state) == ("failed", "failed")
    assert (row.worker, row.worker_name) == ("host:1:abc", "mail-1")
    assert row.created_at == at
    assert row.ready_at == at + timedelta(milliseconds=10)
    assert row.started_at == at + timedelta(milliseconds=35)
    assert row.finished_at == at + timedelta(milliseconds=1_035)
    assert {time.tzinfo for time in (row.created_at, row.finished_at, row.recorded_at)} == {UTC}
    assert (row.wait_ms, row.run_ms) == (25, 1_000)
    assert (
        AttemptDetail(
            row.worker_name or "",
            row.user_id or "",
            row.error_type or "",
            row.error_code or "",
            row.error_message or "",
            row.stack or "",
            row.fingerprint or "",
            row.input_digest or "",
            row.reason or "",
        )
        == detail
    )
    assert abs(row.recorded_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_what_an_attempt_does_not_have_is_null(writer: AuditWriter, reader: AuditReader) -> None:
    writer.write([an_event(lane="", owner="", ready_at=0, started_at=0, outcome=Outcome.CANCELLED)])
    [row] = reader.attempts("job-1")
    assert (row.tenant_id, row.user_id, row.worker, row.error_code, row.reason) == (None,) * 5
    assert (row.ready_at, row.started_at, row.wait_ms, row.run_ms) == (None,) * 4


def test_the_same_events_again_leave_the_rows_single(writer: AuditWriter, reader: AuditReader) -> None:
    first = an_event(token=1, outcome=Outcome.RETRY, state=JobState.DELAYED)
    second = an_event(token=2, attempt=2)
    writer.write([first])
    writer.write([first, second, second])
    assert [(row.attempt, row.outcome) for row in reader.attempts("job-1")] == [
        (1, "retry"),
        (2, "completed"),
    ]


def test_an_id_used_anew_after_the_store_forgot_it_gets_its_own_rows(
    writer: AuditWriter, reader: AuditReader
) -> None:
    writer.write([an_event(job_id="daily", token=1)])
    writer.write([an_event(job_id="daily", token=1, created_at=START + 86_400_000)])
    assert reader.count_executions(job_id="daily") == 2


def test_a_cancel_between_two_runs_has_a_row_beside_that_of_the_run(
    writer: AuditWriter, reader: AuditReader
) -> None:
    writer.write([an_event(token=1, outcome=Outcome.RETRY, state=JobState.DELAYED)])
    writer.write([an_event(token=1, attempt=0, outcome=Outcome.CANCELLED, state=JobState.CANCELLED)])
    assert {(row.attempt, row.outcome) for row in reader.attempts("job-1")} == {
        (1, "retry"),
        (0, "cancelled"),
    }


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_but_a_hand_back_gives_a_row(engine: Engine, outcome: Outcome) -> None:
    AuditWriter(engine).write([an_event(outcome=outcome, state=JobState.WAITING)])
    assert AuditReader(engine).count_executions() == (outcome is not Outcome.RETURNED)


@pytest.mark.parametrize(
    "garbage", [b"\xff\x00", b"{", b"5", b'"text"', b'{"error_message": "\\ud800"}'], ids=repr
)
def test_a_detail_that_cannot_be_read_does_not_block_the_stream(engine: Engine, garbage: bytes) -> None:
    AuditWriter(engine).write([a_failure(detail=garbage), an_event(job_id="job-2")])
    [row] = AuditReader(engine).attempts("job-1")
    assert (row.outcome, row.error_code) == ("failed", "unreadable_detail")
    assert AuditReader(engine).count_executions() == 2


def test_a_detail_of_a_later_release_is_read_as_far_as_it_is_known(engine: Engine) -> None:
    detail = b'{"error_code": 504, "reason": "", "weather": "rain", "cost": "much", "inputs": "?"}'
    AuditWriter(engine).write([a_failure(detail=detail)])
    [row] = AuditReader(engine).attempts("job-1")
    assert (row.error_code, row.reason, row.cost, row.inputs) == ("504", None, None, None)


def test_times_and_spans_that_make_no_sense_are_left_out(writer: AuditWriter, reader: AuditReader) -> None:
    writer.write([an_event(created_at=-1, ready_at=START, started_at=START - 5, finished_at=0)])
    [row] = reader.attempts("job-1")
    assert row.created_at == datetime(1970, 1, 1, tzinfo=UTC)
    assert (row.wait_ms, row.run_ms, row.finished_at) == (0, None, row.recorded_at)


def test_values_no_database_can_hold_are_made_to_fit(writer: AuditWriter, reader: AuditReader) -> None:
    detail = AttemptDetail(error_message="a\0b", reason="quote ' percent %s brace {}").to_bytes()
    writer.write([a_failure(job_id="j\0b", attempt=2**70, finished_at=10**30, detail=detail)])
    [row] = reader.recent_failures(None)
    assert (row.job_id, row.error_message, row.attempt) == ("j�b", "a�b", 2**63 - 1)
    assert row.reason == "quote ' percent %s brace {}"
    assert row.finished_at == row.recorded_at


def test_a_thousand_events_are_one_transaction(writer: AuditWriter, reader: AuditReader) -> None:
    writer.write([an_event(job_id=f"job-{number}") for number in range(1_000)])
    assert reader.count_executions() == 1_000


def test_nothing_to_write_asks_nothing_of_the_database(database_url: str, outage: Outage) -> None:
    with engine_at(database_url, busy_timeout=0.05) as engine:
        outage.begin()
        AuditWriter(engine).write([])
        AuditWriter(engine).write([an_event(outcome=Outcome.RETURNED)])


def test_events_written_again_after_an_outage_are_all_there(
    database_url: str, engine: Engine, outage: Outage
) -> None:
    events = [an_event(job_id=f"job-{number}") for number in range(20)]
    with engine_at(database_url, busy_timeout=0.05) as impatient:
        writer = AuditWriter(impatient)
        writer.write(events[:10])
        outage.begin()
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable):
                writer.write(events)
        outage.end()
        writer.write(events)
        assert AuditReader(impatient).count_executions() == 20


def test_readers_that_share_a_stream_write_the_same_events_without_a_deadlock(engine: Engine) -> None:
    rounds = 5
    together = threading.Barrier(2)
    errors: list[Exception] = []

    def write(order: int) -> None:
        try:
            for number in range(rounds):
                events = [an_event(job_id=f"job-{number}-{place:03}") for place in range(400)]
                together.wait(50)
                AuditWriter(engine).write(events[::order])
        except Exception as error:
            errors.append(error)
            together.abort()

    threads = [threading.Thread(target=write, args=(order,)) for order in (1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert AuditReader(engine).count_executions() == rounds * 400


def test_attempts_are_counted_by_tenant_queue_outcome_and_time(
    writer: AuditWriter, reader: AuditReader
) -> None:
    writer.write(
        [
            an_event(job_id="a"),
            a_failure(job_id="b", queue="pdf-generate", finished_at=START + 60_000),
            an_event(job_id="c", lane="other"),
            an_event(job_id="d", lane=""),
        ]
    )
    later = datetime.fromtimestamp(START / 1000, UTC) + timedelta(seconds=30)
    assert reader.count_executions() == 4
    assert reader.count_executions(tenant_id="acme") == 2
    assert reader.count_executions(tenant_id="acme", queue="email-sync") == 1
    assert reader.count_executions(outcome=Outcome.FAILED) == 1
    assert reader.count_executions(job_id="c") == 1
    assert reader.count_executions(since=later) == 1
    assert reader.count_executions(until=later) == 3


def test_recent_failures_are_those_for_good_newest_first_and_of_one_tenant(
    writer: AuditWriter, reader: AuditReader
) -> None:
    writer.write(
        [
            a_failure(job_id="old", finished_at=START + 1_000),
            a_failure(job_id="new", finished_at=START + 3_000),
            a_failure(job_id="lost", finished_at=START + 2_000, outcome=Outcome.LOST),
            a_failure(job_id="theirs", lane="other"),
            an_event(job_id="again", outcome=Outcome.RETRY, state=JobState.DELAYED),
        ]
    )
    assert [row.job_id for row in reader.recent_failures("acme")] == ["new", "lost", "old"]
    assert [row.job_id for row in reader.recent_failures("acme", limit=1)] == ["new"]
    assert len(reader.recent_failures(None)) == 4
    assert reader.recent_failures("nobody") == []


def test_an_open_read_does_not_keep_the_audit_from_being_written(engine: Engine) -> None:
    with engine.execution_options(callboard_read_only=True, postgresql_readonly=True).connect() as reading:
        reading.exec_driver_sql("SELECT count(*) FROM job_executions")
        AuditWriter(engine).write([an_event()])
    assert AuditReader(engine).count_executions() == 1


@pytest.mark.parametrize(("detail", "code"), [(b"", "lost_lease"), (b'{"error_code":"poison"}', "poison")])
def test_a_lost_lease_is_called_that_when_nobody_said_more(
    writer: AuditWriter, reader: AuditReader, detail: bytes, code: str
) -> None:
    writer.write([a_failure(outcome=Outcome.LOST, state=JobState.WAITING, detail=detail)])
    [row] = reader.attempts("job-1")
    assert row.error_code == code
