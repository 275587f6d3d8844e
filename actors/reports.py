"""Reports: a PDF, spreadsheet or CSV file from data."""

import hashlib
from typing import Any, Literal
from urllib.parse import quote

from actors import app
from actors.declare import actor
from integrations.errors import PermanentFailure
from jobs.failures import worded_without_values
from middleware.current import current_job
from middleware.progress import progress

Kind = Literal["financial_report", "tax_summary", "client_overview", "custom"]
Format = Literal["pdf", "xlsx", "csv"]

_LONGEST_NAME = 200


@actor  # S3 queue 4
def report_generate(kind: Kind, format: Format, report: dict[str, Any]) -> dict[str, Any]:
    """Render a report into the reports folder.

    `report` has title, columns, rows and what else `integrations.rendering.report.ReportData` takes.
    The file is named by the job, so a second attempt writes the same file. Returns path, size and digest.
    """
    from database.report_files import ReportFile, ReportFiles
    from integrations.rendering import render
    from integrations.rendering.report import ReportData
    from integrations.storage import write_atomically

    job = current_job()
    job_id = job.id if job else "direct"
    tenant = job.tenant_id if job else ""
    try:
        data = ReportData.from_mapping(report)
    except PermanentFailure as error:
        worded_without_values(error)
        raise
    progress(20, message=f"{len(data.rows)} rows")
    content = render(data, kind, format)
    progress(80, message="writing")
    folder = app.settings.reports_folder
    if tenant:
        folder = folder / _file_name(tenant)
    path = write_atomically(folder / f"{_file_name(job_id)}.{format}", content)
    digest = hashlib.sha256(content).hexdigest()
    file = ReportFile(
        job_id=job_id, kind=kind, format=format, path=str(path), size=len(content), sha256=digest
    )
    ReportFiles(app.engine(), tenant).record(file)
    progress(100, message=path.name)
    return {"path": str(path), "size": len(content), "sha256": digest}


def _file_name(name: str) -> str:
    """A name that stays in its folder; no two names give the same."""
    safe = quote(name, safe="")
    if safe.startswith("."):
        safe = "%2E" + safe[1:]
    # A quoted name has no "=".
    return safe if len(safe) <= _LONGEST_NAME else "=" + hashlib.sha256(name.encode()).hexdigest()
