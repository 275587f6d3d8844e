"""Cells as words: the one place that decides how a number or a date reads in print and in CSV."""

from datetime import date, datetime
from decimal import Decimal

from integrations.rendering.report import Cell, ColumnKind


def printed(value: Cell, kind: ColumnKind) -> str:
    """The cell as a reader of a page wants it: 1,234.50 for money, 19.0 % for percent."""
    if value is None:
        return ""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        if kind == "money":
            return f"{value:,.2f}"
        if kind == "percent":
            return f"{value * 100:.1f} %"
        return f"{value:,f}".rstrip("0").rstrip(".") if isinstance(value, Decimal | float) else f"{value:,}"
    return plain(value)


def plain(value: Cell) -> str:
    """The cell as a machine wants it: no grouping, ISO dates."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value)
