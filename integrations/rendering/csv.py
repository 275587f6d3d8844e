"""Reports as CSV: RFC 4180 with a byte order mark, so that spreadsheets read the letters right."""

import csv
import io
import re

from integrations.rendering.report import Cell, ReportData
from integrations.rendering.words import plain

# Spreadsheets run a cell that begins like this as a formula (OWASP, CSV injection), also in full-width forms.
_FORMULA = re.compile(r"^[\s\x00]*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"^[+-]?\d+(\.\d+)?$", re.ASCII)


def render_csv(data: ReportData) -> bytes:
    """Heading row, rows and totals as UTF-8; text that a spreadsheet could run is neutralised."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([neutralised(column.title) for column in data.columns])
    for row in data.rows:
        writer.writerow([_cell(value) for value in row])
    if data.totals:
        writer.writerow([_cell(value) for value in data.totals])
    # Lone surrogates have no UTF-8 form; a question mark beats a lost report.
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8", "replace")


def neutralised(text: str) -> str:
    """`text` with an apostrophe before what a spreadsheet would take for a formula; plain numbers stay."""
    text = text.replace("\x00", "")
    if _FORMULA.match(text) and not _NUMBER.match(text):
        return "'" + text
    return text


def _cell(value: Cell) -> str:
    return neutralised(value) if isinstance(value, str) else plain(value)
