"""What every report is made of, whatever its format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Literal, cast, get_args

from integrations.errors import PermanentFailure

KINDS = ("financial_report", "tax_summary", "client_overview", "custom")
ColumnKind = Literal["text", "number", "money", "percent", "date"]
Cell = str | int | float | Decimal | date | None
Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading and what its cells hold; `percent` cells are fractions (0.19 is 19 %)."""

    title: str
    kind: ColumnKind = "text"


@dataclass(frozen=True, slots=True)
class ReportData:
    """The content of a report. Rows and totals are as wide as `columns`; `totals` may be empty.

    Raises PermanentFailure when a row has another width.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    subtitle: str = ""
    tenant: str = ""
    period: str = ""
    totals: Row = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        width = len(self.columns)
        if not width:
            raise PermanentFailure("A report needs at least one column.")
        for number, row in enumerate(self.rows, start=1):
            if len(row) != width:
                raise PermanentFailure(f"Row {number} has {len(row)} cells where {width} columns are named.")
        if self.totals and len(self.totals) != width:
            raise PermanentFailure(
                f"The totals have {len(self.totals)} cells where {width} columns are named."
            )

    @classmethod
    def from_mapping(cls, data: Mapping[str, object]) -> "ReportData":
        """Read plain JSON data: `columns` are titles or {"title", "kind"}; dates are ISO strings.

        Numbers may be given as strings ("1234.50") so that money keeps its cents.
        Raises PermanentFailure naming the field, never its value, nor a title or a field of the caller's.
        """
        unknown = set(data) - set(cls.__slots__)
        if unknown:
            many = "a field that is" if len(unknown) == 1 else f"{len(unknown)} fields that are"
            raise PermanentFailure(f"The report has {many} unknown; known are {', '.join(cls.__slots__)}.")
        columns = tuple(_column(entry, at) for at, entry in enumerate(_items(data, "columns")))
        if not columns:
            raise PermanentFailure("A report needs at least one column.")
        rows = tuple(_row(entry, columns, f"rows[{at}]") for at, entry in enumerate(_items(data, "rows")))
        totals = _items(data, "totals")
        return cls(
            title=_text(data, "title", required=True),
            columns=columns,
            rows=rows,
            subtitle=_text(data, "subtitle"),
            tenant=_text(data, "tenant"),
            period=_text(data, "period"),
            totals=_row(totals, columns, "totals", total=True) if totals else (),
            notes=tuple(str(note) for note in _items(data, "notes")),
        )


def _text(data: Mapping[str, object], field: str, *, required: bool = False) -> str:
    value = data.get(field)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or (required and not value.strip()):
        raise PermanentFailure(f"The report field {field!r} must be a text.")
    return value


def _items(data: Mapping[str, object], field: str) -> Sequence[object]:
    value = data.get(field)
    if value is None:
        return ()
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise PermanentFailure(f"The report field {field!r} must be a list.")
    return value


def _column(entry: object, at: int) -> Column:
    if isinstance(entry, str):
        return Column(entry)
    if isinstance(entry, Mapping) and isinstance(entry.get("title"), str):
        kind = entry.get("kind", "text")
        if kind in get_args(ColumnKind):
            return Column(entry["title"], cast(ColumnKind, kind))
    kinds = ", ".join(get_args(ColumnKind))
    raise PermanentFailure(f"columns[{at}] must be a title or {{title, kind}} with a kind of {kinds}.")


def _row(entry: object, columns: tuple[Column, ...], where: str, *, total: bool = False) -> Row:
    if isinstance(entry, str | bytes) or not isinstance(entry, Sequence):
        raise PermanentFailure(f"{where} must be a list of cells.")
    if len(entry) != len(columns):
        raise PermanentFailure(f"{where} has {len(entry)} cells where {len(columns)} columns are named.")
    return tuple(
        _cell(value, column, f"{where}[{at}]", at, lenient=total)
        for at, (value, column) in enumerate(zip(entry, columns, strict=True))
    )


def _cell(value: object, column: Column, where: str, at: int, *, lenient: bool) -> Cell:
    """The value as its column's kind; a totals row may carry a word ("Total") in any column."""
    if value is None or value == "":
        return None
    try:
        if column.kind == "text":
            return _plain(value)
        if column.kind == "date":
            return value if isinstance(value, date) else date.fromisoformat(str(value)[:10])
        number = _number(value)
    except (ValueError, InvalidOperation):
        if lenient and isinstance(value, str):
            return value
        raise PermanentFailure(
            f"{where} does not fit its column, columns[{at}], which holds a {column.kind}."
        ) from None
    return number


def _plain(value: object) -> Cell:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int | float | Decimal | date):
        return value
    raise ValueError


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise ValueError
    number = Decimal(str(value))
    if not number.is_finite():
        raise ValueError
    return number
