"""`report_generate`: real files, named by their jobs."""

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any, get_args

import pytest
from sqlalchemy import Engine

from actors.composition import App
from actors.reports import Kind, report_generate
from broker.testing import FakeJobs, inline
from database.engine import make_engine
from database.report_files import ReportFiles
from integrations.errors import PermanentFailure
from jobs.errors import InvalidPayload
from jobs.model import Job
from jobs.states import JobState
from tests.actors.conftest import SetUp, from_json

REPORT = {
    "title": "Rents in March",
    "columns": ["Tenant", {"title": "Rent", "kind": "money"}, {"title": "Due", "kind": "date"}],
    "rows": [["Ada", "900.50", "2026-03-01"], ["Ben", 1200, "2026-03-03"]],
    "totals": ["Total", "2100.50", None],
}


def generate(jobs: FakeJobs, format: str = "csv", kind: str = "custom", **options: Any) -> Job:
    arguments = {"kind": kind, "format": format, "report": options.pop("report", REPORT)}
    message = report_generate.send_with_options(kwargs=arguments, **options)
    jobs.run_all()
    job = jobs.store.get(message.message_id)
    assert job is not None
    return job


def result(job: Job) -> dict[str, Any]:
    assert job.state is JobState.COMPLETED, job.record
    return dict(from_json(job.record)["result"])


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("format", ["pdf", "xlsx", "csv"])
def test_every_kind_in_every_format_is_a_file_of_that_format(
    house: App, jobs: FakeJobs, kind: str, format: str
) -> None:
    job = generate(jobs, format, kind)

    made = result(job)
    path = house.settings.reports_folder / f"{job.id}.{format}"
    content = path.read_bytes()
    assert made == {"path": str(path), "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert path.stat().st_mode & 0o077 == 0
    if format == "pdf":
        assert content.startswith(b"%PDF-")
    elif format == "xlsx":
        assert "xl/workbook.xml" in zipfile.ZipFile(io.BytesIO(content)).namelist()
    else:
        assert b"Ada" in content
        assert b"900.50" in content
    (row,) = ReportFiles(house.engine()).of_job(job.id)
    assert (row.path, row.kind, row.format, row.sha256) == (str(path), kind, format, made["sha256"])
    assert from_json(job.progress)["percent"] == 100


def test_a_second_attempt_writes_the_same_file_and_leaves_one_row(
    house: App, jobs: FakeJobs, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = house.engine()
    bare: Engine = make_engine(f"sqlite:///{tmp_path_factory.mktemp('bare')}/callboard.db")
    house._engine = bare  # a database without tables: the attempt fails after its file was written
    job = generate(jobs, job_id="march")
    assert job.state is JobState.DELAYED
    assert [path.name for path in house.settings.reports_folder.iterdir()] == ["march.csv"]
    first = (house.settings.reports_folder / "march.csv").read_bytes()

    bare.dispose()
    house._engine = whole
    jobs.advance(30)
    jobs.run_all()

    assert [path.name for path in house.settings.reports_folder.iterdir()] == ["march.csv"]
    assert (house.settings.reports_folder / "march.csv").read_bytes() == first
    assert len(ReportFiles(whole).of_job("march")) == 1


def test_a_folder_that_cannot_be_written_is_a_permanent_failure_that_says_what_to_do(
    set_up: SetUp, jobs: FakeJobs, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    set_up(reports={"folder": str(tmp_path / "file" / "reports")})
    job = generate(jobs)

    assert (job.state, job.attempts) == (JobState.FAILED, 1)
    message = from_json(job.record)["error"]["message"]
    assert "Not a directory; make the folder writable for the user that runs the worker" in message


@pytest.mark.parametrize("tenant", ["..", ".", "../..", "a/b", ".hidden", "ä" * 90])
def test_no_tenant_gets_out_of_the_reports_folder(house: App, jobs: FakeJobs, tenant: str) -> None:
    folder = house.settings.reports_folder
    path = Path(result(generate(jobs, tenant_id=tenant))["path"])

    assert path.resolve().parent.parent == folder.resolve()
    assert path.is_file()


def test_two_jobs_never_share_a_file_however_alike_their_ids_are(house: App, jobs: FakeJobs) -> None:
    ids = ["a-b", "a_b", "a.b", "a:b", "a@b", "a..b", "A-b", "a" * 128, "a" * 127 + "b"]
    paths = [result(generate(jobs, job_id=job_id))["path"] for job_id in ids]

    assert len(set(paths)) == len(ids)
    assert {Path(path).parent for path in paths} == {house.settings.reports_folder}


def test_a_report_that_makes_no_sense_is_a_permanent_failure(jobs: FakeJobs) -> None:
    job = generate(jobs, report={"title": "T", "columns": ["a"], "rows": [[1, 2]]})
    assert (job.state, job.attempts) == (JobState.FAILED, 1)
    assert "has 2 cells where 1 columns are named" in from_json(job.record)["error"]["message"]


def test_a_format_that_is_not_offered_is_refused_at_send(jobs: FakeJobs) -> None:
    with pytest.raises(InvalidPayload, match=r"format: input should be 'pdf', 'xlsx' or 'csv'"):
        report_generate.send("custom", "docx", REPORT)  # type: ignore[arg-type]
    assert jobs.queued() == []


def test_inline_it_raises_what_is_wrong(house: App) -> None:
    with inline(house.broker), pytest.raises(PermanentFailure, match="at least one column"):
        report_generate.send("custom", "csv", {"title": "T"})
