"""Reports as XLSX. No cell is ever a formula: text is written as text, whatever it begins with."""

import io
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from integrations.errors import MissingExtra, PermanentFailure
from integrations.rendering.report import Cell, ColumnKind, ReportData, Row
from integrations.rendering.words import plain, printed

_FORMATS: dict[ColumnKind, str] = {
    "text": "@",
    "number": "#,##0.##########",
    "money": "#,##0.00",
    "percent": "0.0%",
    "date": "yyyy-mm-dd",
}
_MAX_ROWS = 1_048_576  # of the format itself
_MAX_TEXT = 32_767
_EXACT = 15  # a spreadsheet's numbers have fifteen digits; a longer one is kept as text
_FIRST_DATE = date(1900, 3, 1)  # before it the format's calendar is wrong (its 1900 is a leap year)
_SHEET = "Report"


def render_xlsx(data: ReportData) -> bytes:
    """A workbook with one sheet: heading lines, the table with frozen headings, totals, notes.

    Raises MissingExtra without xlsxwriter, PermanentFailure for more rows than a sheet can hold.
    """
    try:
        import xlsxwriter
    except ImportError as error:
        raise MissingExtra("documents", "xlsxwriter") from error
    if len(data.rows) > _MAX_ROWS - 100:
        raise PermanentFailure(f"{len(data.rows)} rows do not fit into one sheet; ask for CSV instead.")
    out = io.BytesIO()
    # Each of these turns text into something that acts: all off.
    safe = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(out, {"in_memory": True, **safe})
    book.set_properties({"title": _fitting(data.title), "company": _fitting(data.tenant)})
    _Sheet(book, data).fill()
    book.close()
    return out.getvalue()


class _Sheet:
    """One pass from top to bottom over the sheet."""

    def __init__(self, book: Any, data: ReportData) -> None:
        self.data = data
        self.sheet = book.add_worksheet(_SHEET)
        self.line = 0
        self.bold = book.add_format({"bold": True, "bottom": 1, "text_wrap": True})
        self.title = book.add_format({"bold": True, "font_size": 16})
        self.cells = {kind: book.add_format({"num_format": form}) for kind, form in _FORMATS.items()}
        self.totals = {
            kind: book.add_format({"num_format": form, "bold": True, "top": 1})
            for kind, form in _FORMATS.items()
        }

    def fill(self) -> None:
        data = self.data
        self._line(data.title, self.title)
        for text in (data.subtitle, " · ".join(filter(None, (data.tenant, data.period)))):
            if text:
                self._line(text)
        self.line += 1
        for at, column in enumerate(data.columns):
            self._text(at, column.title, self.bold)
            self.sheet.set_column(at, at, self._width(at))
        self.line += 1
        self.sheet.freeze_panes(self.line, 0)
        for row in data.rows:
            self._row(row, self.cells)
        if data.totals:
            self._row(data.totals, self.totals)
        self.line += 1
        for note in data.notes:
            self._line(note)

    def _line(self, text: str, form: Any = None) -> None:
        self._text(0, text, form)
        self.line += 1

    def _row(self, row: Row, forms: dict[ColumnKind, Any]) -> None:
        for at, (value, column) in enumerate(zip(row, self.data.columns, strict=True)):
            self._cell(at, value, forms[column.kind])
        self.line += 1

    def _cell(self, at: int, value: Cell, form: Any) -> None:
        if value is None:
            self.sheet.write_blank(self.line, at, None, form)
        elif isinstance(value, datetime) and value.date() >= _FIRST_DATE:
            naive = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
            self.sheet.write_datetime(self.line, at, naive, form)
        elif isinstance(value, date) and not isinstance(value, datetime) and value >= _FIRST_DATE:
            self.sheet.write_datetime(self.line, at, value, form)
        elif isinstance(value, int | float | Decimal) and _exact(value):
            self.sheet.write_number(self.line, at, float(value), form)
        else:
            self._text(at, plain(value), form)

    def _text(self, at: int, text: str, form: Any = None) -> None:
        self.sheet.write_string(self.line, at, _fitting(text), form)

    def _width(self, at: int) -> int:
        kind = self.data.columns[at].kind
        shown = (len(printed(row[at], kind)) for row in self.data.rows[:200])
        return min(max(len(self.data.columns[at].title), *shown, 8) + 2, 60)


def _fitting(text: str) -> str:
    """Text as a cell can hold it: lone surrogates replaced, cut at the format's limit with a mark."""
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"


def _exact(value: float | Decimal) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    number = Decimal(value)
    return number.is_finite() and len(number.normalize().as_tuple().digits) <= _EXACT
