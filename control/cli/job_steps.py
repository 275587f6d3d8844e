"""`callboard jobs steps`: what a job has done of its steps and effects."""

from typing import TYPE_CHECKING, Any

import typer

from control.cli.jobs import AsJson, JobId
from control.cli.output import print_json, print_table

if TYPE_CHECKING:
    from control.service.views import StepView

#: So much of a value is shown in the table; --json shows all of it.
WIDEST = 60


def steps(job_id: JobId, as_json: AsJson = False) -> None:
    """Show the steps and effects of a job, and what they gave."""
    from actors import app
    from control.service import JobService

    view = JobService(app).steps(job_id)
    if as_json:
        print_json(view.to_json())
    elif view.steps:
        print_table(("step", "kind", "is", "bytes", "outcome"), map(_row, view.steps))
    else:
        typer.echo(f"job {job_id} has stored no step")


def _row(one: "StepView") -> tuple[str, ...]:
    if one.finished is None:
        return one.name, "", "unreadable", f"{one.size:,}", one.note or ""
    if one.finished:
        return one.name, one.kind or "", "finished", f"{one.size:,}", _short(one.outcome)
    return one.name, one.kind or "", "intended", f"{one.size:,}", f"intent: {_short(one.intent)}"


def _short(value: Any) -> str:
    import orjson

    from control.service.reading import PRIVATE

    text = PRIVATE if value == PRIVATE else orjson.dumps(value).decode()
    # Without what would move a terminal's cursor.
    text = "".join(mark if mark.isprintable() else " " for mark in text)
    return text if len(text) <= WIDEST else text[:WIDEST] + "…"
