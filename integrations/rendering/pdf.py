"""Reports as PDF through typst. Data reach a template as JSON only, never as source."""

import json
from functools import cache
from pathlib import Path

from integrations.errors import MissingExtra, PermanentFailure
from integrations.rendering.report import ReportData, Row
from integrations.rendering.words import printed

_TEMPLATES = Path(__file__).parent / "templates"
_LEFT = {"text", "date"}


def render_pdf(data: ReportData, kind: str) -> bytes:
    """A PDF of `kind`, one of KINDS: each is `templates/<kind>.typ` over the common `layout.typ`.

    Raises MissingExtra without typst, PermanentFailure if the template cannot be set.
    """
    try:
        import typst
    except ImportError as error:
        raise MissingExtra("documents", "typst") from error
    source = _source(kind)
    # Lone surrogates have no UTF-8 form and would end the hand-over to typst.
    payload = json.dumps(_content(data), ensure_ascii=False).encode("utf-8", "replace").decode()
    try:
        return typst.compile(str(source), root=str(_TEMPLATES), sys_inputs={"data": payload})
    except RuntimeError as error:  # typst.TypstError is one
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PermanentFailure(f"The PDF template {kind!r} cannot be set: {reason}.") from error


@cache
def _source(kind: str) -> Path:
    # Only a name that stands in the folder is a template: a kind is no path.
    known = {path.stem: path for path in _TEMPLATES.glob("*.typ") if path.stem != "layout"}
    if kind not in known:
        raise PermanentFailure(
            f"There is no PDF template {kind!r}; choose one of {', '.join(sorted(known))}."
        )
    return known[kind]


def _content(data: ReportData) -> dict[str, object]:
    return {
        "title": data.title,
        "subtitle": data.subtitle,
        "tenant": data.tenant,
        "period": data.period,
        "columns": [
            {"title": column.title, "align": "left" if column.kind in _LEFT else "right"}
            for column in data.columns
        ],
        "rows": [_printed(data, row) for row in data.rows],
        "totals": _printed(data, data.totals) if data.totals else [],
        "notes": list(data.notes),
    }


def _printed(data: ReportData, row: Row) -> list[str]:
    return [printed(value, column.kind) for value, column in zip(row, data.columns, strict=True)]
