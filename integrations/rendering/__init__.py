"""Reports as PDF, XLSX and CSV. `render` is the door; the formats' libraries load when first used."""

from integrations.errors import PermanentFailure
from integrations.rendering.report import KINDS, Cell, Column, ReportData

FORMATS = ("pdf", "xlsx", "csv")

__all__ = ["FORMATS", "KINDS", "Cell", "Column", "ReportData", "render"]


def render(data: ReportData, kind: str, format: str) -> bytes:
    """The bytes of a report of one of KINDS in one of FORMATS (CATALOGUE, report-generate).

    Raises PermanentFailure for an unknown kind or format or data that the format cannot hold,
    MissingExtra if the extra `documents` is not installed (PDF and XLSX need it).
    """
    if kind not in KINDS:
        raise PermanentFailure(f"Unknown report kind {kind!r}; choose one of {', '.join(KINDS)}.")
    if format == "pdf":
        from integrations.rendering.pdf import render_pdf

        return render_pdf(data, kind)
    if format == "xlsx":
        from integrations.rendering.xlsx import render_xlsx

        return render_xlsx(data)
    if format == "csv":
        from integrations.rendering.csv import render_csv

        return render_csv(data)
    raise PermanentFailure(f"Unknown report format {format!r}; choose one of {', '.join(FORMATS)}.")
