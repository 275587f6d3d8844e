"""The files that report jobs made."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from database.report_files import ReportFile, ReportFiles

MADE = datetime(2026, 3, 1, tzinfo=UTC)
PDF = ReportFile("job-1", "financial", "pdf", "/reports/1.pdf", 10_240, "ab" * 32, MADE)


def test_the_files_of_a_job_are_listed_as_they_were_made(engine: Engine) -> None:
    files = ReportFiles(engine, "acme")
    sheet = replace(PDF, format="xlsx", path="/reports/1.xlsx", created_at=MADE + timedelta(seconds=1))
    files.record(sheet)
    files.record(PDF)
    files.record(replace(PDF, job_id="job-2"))
    assert files.of_job("job-1") == [PDF, sheet]


def test_the_next_attempt_of_the_job_replaces_its_file(engine: Engine) -> None:
    files = ReportFiles(engine)
    files.record(PDF)
    files.record(replace(PDF, size=20_480, sha256="cd" * 32))
    assert [(file.size, file.sha256) for file in files.of_job("job-1")] == [(20_480, "cd" * 32)]


def test_a_file_entered_without_a_time_was_made_now(engine: Engine) -> None:
    files = ReportFiles(engine)
    files.record(replace(PDF, created_at=None))
    [file] = files.of_job("job-1")
    assert file.created_at is not None
    assert abs(file.created_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_another_tenants_files_are_not_listed(engine: Engine) -> None:
    ReportFiles(engine, "acme").record(PDF)
    assert ReportFiles(engine, "other").of_job("job-1") == []
