"""Reports in three formats, whatever their data hold."""

import csv
import io
import sys
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.errors import MissingExtra, PermanentFailure
from integrations.rendering import KINDS, Column, ReportData, render
from integrations.rendering.csv import neutralised
from tests.integrations.pdf_text import page_count, text_of

REPORT = ReportData(
    title="Takings of the third quarter",
    subtitle="All berths",
    tenant="Harbourlight Ltd",
    period="2026 Q3",
    columns=(Column("Berth"), Column("Net", "money"), Column("Tax rate", "percent"), Column("Paid", "date")),
    rows=(
        ("Größe Kai 1", Decimal("1234.50"), Decimal("0.19"), date(2026, 7, 1)),
        ("Kai 2", Decimal("-80.05"), None, date(2026, 8, 2)),
    ),
    totals=("Total", Decimal("1154.45"), None, None),
    notes=("Without the pilots' fees.",),
)
FORMULAS = ["=1+1", "+1+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1+1", "＝1+1", "=HYPERLINK('http://x')"]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_report_is_a_pdf_with_its_title_rows_totals_and_notes(kind: str) -> None:
    pdf = render(REPORT, kind, "pdf")

    assert pdf.startswith(b"%PDF-1.")
    assert page_count(pdf) == 1
    text = " ".join(text_of(pdf).split())
    for words in (
        REPORT.title,
        "2026 Q3",
        "Größe Kai 1",
        "1,234.50",
        "-80.05",
        "19.0 %",
        "1,154.45",
        "pilots",
    ):
        assert words in text


def test_a_long_table_runs_over_several_pages_and_loses_no_row() -> None:
    rows = tuple((f"item {number}", number) for number in range(300))
    pdf = render(ReportData("Long", (Column("What"), Column("Count", "number")), rows), "custom", "pdf")

    assert page_count(pdf) > 3
    text = text_of(pdf)
    assert [number for number in range(300) if f"item {number}" not in text] == []


def test_what_looks_like_template_source_is_printed_and_never_run() -> None:
    hostile = '#panic("run") #import "/etc/passwd" $x$ *bold* \\ " } ] ; //'
    pdf = render(ReportData(hostile, (Column(hostile),), ((hostile,),), notes=(hostile,)), "custom", "pdf")

    assert text_of(pdf).count('#panic("run")') >= 4


@settings(deadline=None, max_examples=40)
@given(text=st.text(st.characters(), max_size=60))
def test_any_text_can_be_in_any_format(text: str) -> None:
    data = ReportData(text or "x", (Column(text),), ((text,),), notes=(text,))
    for format_ in ("pdf", "xlsx", "csv"):
        assert render(data, "custom", format_)


def cells(workbook: bytes) -> tuple[list[str], str]:
    """The shared texts of a workbook and the XML of its sheet."""
    space = {"x": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    with zipfile.ZipFile(io.BytesIO(workbook)) as archive:
        texts = ElementTree.fromstring(archive.read("xl/sharedStrings.xml"))
        return [node.text or "" for node in texts.findall(".//x:t", space)], archive.read(
            "xl/worksheets/sheet1.xml"
        ).decode()


def test_a_workbook_holds_numbers_as_numbers_and_texts_as_texts() -> None:
    texts, sheet = cells(render(REPORT, "financial_report", "xlsx"))

    assert {"Takings of the third quarter", "Berth", "Größe Kai 1", "Total"} <= set(texts)
    assert "<v>1234.5</v>" in sheet
    assert "<v>0.19</v>" in sheet
    assert "<v>46204</v>" in sheet, "1 July 2026 in the format's days"


def test_no_cell_of_a_workbook_is_a_formula_or_a_link() -> None:
    rows = tuple((text,) for text in [*FORMULAS, "http://evil.example", "mailto:x@evil.example"])
    texts, sheet = cells(
        render(ReportData("=1+1", (Column("=2+2"),), rows, notes=("=3+3",)), "custom", "xlsx")
    )

    assert "<f>" not in sheet
    assert "hyperlink" not in sheet.lower()
    assert {"=1+1", "=2+2", "=3+3", "@SUM(A1)"} <= set(texts)


def test_a_number_too_long_for_a_spreadsheet_keeps_its_digits() -> None:
    texts, _ = cells(
        render(ReportData("x", (Column("Id", "number"),), ((12345678901234567890,),)), "custom", "xlsx")
    )
    assert "12345678901234567890" in texts


def test_a_csv_has_a_row_for_the_headings_each_row_and_the_totals() -> None:
    raw = render(REPORT, "custom", "csv")

    assert raw.startswith(b"\xef\xbb\xbf")
    assert list(csv.reader(io.StringIO(raw.decode("utf-8-sig")))) == [
        ["Berth", "Net", "Tax rate", "Paid"],
        ["Größe Kai 1", "1234.50", "0.19", "2026-07-01"],
        ["Kai 2", "-80.05", "", "2026-08-02"],
        ["Total", "1154.45", "", ""],
    ]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_csv_cell_that_a_spreadsheet_would_run_is_neutralised(text: str) -> None:
    data = ReportData("x", (Column(text),), ((text,),))
    rows = list(csv.reader(io.StringIO(render(data, "custom", "csv").decode("utf-8-sig"), newline="")))
    assert rows == [["'" + text], ["'" + text]]


@pytest.mark.parametrize("text", ["-5", "+3.25", "plain", "a=b", "1-2", ""])
def test_a_csv_cell_that_is_harmless_stays_as_it_is(text: str) -> None:
    assert neutralised(text) == text


def test_report_data_come_from_json_with_their_kinds() -> None:
    data = ReportData.from_mapping(
        {
            "title": "T",
            "columns": ["Name", {"title": "Net", "kind": "money"}, {"title": "On", "kind": "date"}],
            "rows": [["a", "0.10", "2026-01-02"], ["b", 3, None]],
            "totals": ["Total", "3.10", None],
        }
    )
    assert data.rows == (("a", Decimal("0.10"), date(2026, 1, 2)), ("b", Decimal(3), None))
    assert data.totals == ("Total", Decimal("3.10"), None)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"title": None}, "'title' must be a text"),
        ({"titel": "x"}, "has a field that is unknown; known are title, "),
        ({"columns": []}, "at least one column"),
        ({"columns": [{"title": "x", "kind": "colour"}]}, r"columns\[0\] must be a title"),
        ({"rows": "x"}, "'rows' must be a list"),
        ({"rows": [["1", "2"]]}, r"rows\[0\] has 2 cells where 1 columns"),
        ({"rows": [["1"], ["ten"]]}, r"rows\[1\]\[0\] does not fit its column, columns\[0\], which "),
        ({"rows": [["NaN"]]}, r"rows\[0\]\[0\] does not fit"),
        ({"rows": [[True]]}, r"rows\[0\]\[0\] does not fit"),
    ],
)
def test_bad_report_data_are_refused_with_the_field_named(change: dict[str, Any], sentence: str) -> None:
    data = {"title": "T", "columns": [{"title": "N", "kind": "number"}], "rows": [["1"]]} | change
    with pytest.raises(PermanentFailure, match=sentence):
        ReportData.from_mapping(data)


def test_an_unknown_kind_or_format_is_refused_with_the_choices() -> None:
    with pytest.raises(PermanentFailure, match="'poem'; choose one of financial_report, tax_summary"):
        render(REPORT, "poem", "pdf")
    with pytest.raises(PermanentFailure, match="'docx'; choose one of pdf, xlsx, csv"):
        render(REPORT, "custom", "docx")


@pytest.mark.parametrize(("format_", "library"), [("pdf", "typst"), ("xlsx", "xlsxwriter")])
def test_a_missing_library_names_the_extra_to_install(
    format_: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)  # as an import finds it that is not installed
    with pytest.raises(MissingExtra, match=f"{library} is not installed: install the extra 'documents'"):
        render(REPORT, "custom", format_)
    assert render(REPORT, "custom", "csv"), "CSV needs no extra"


def test_a_moment_with_a_zone_is_shown_in_utc_in_a_workbook() -> None:
    moment = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    _, sheet = cells(render(ReportData("x", (Column("At", "date"),), ((moment,),)), "custom", "xlsx"))
    assert "<v>46204.5</v>" in sheet
