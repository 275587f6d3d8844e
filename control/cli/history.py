"""`callboard jobs show`: a job with all its attempts."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from control.cli.jobs import AsJson, JobId
from control.cli.output import duration, print_json, print_table

if TYPE_CHECKING:
    from control.service import AttemptView

WithStack = Annotated[bool, typer.Option("--stack", help="Show where each attempt failed.")]


def show(job_id: JobId, stack: WithStack = False, as_json: AsJson = False) -> None:
    """Show all attempts of a job. While the database is away the last failure alone."""
    from actors import app
    from control.service import HistoryService

    view = HistoryService(app).attempts(job_id)
    if as_json:
        print_json(view.to_json())
        return
    typer.echo(f"{view.id} is {view.state or 'gone from the store'}")
    if view.attempts:
        headers = ("attempt", "outcome", "ended (UTC)", "wait", "run", "worker", "kind", "because")
        print_table(headers, map(_row, view.attempts))
    else:
        typer.echo("  no attempt of it has ended")
    if stack:
        for one in view.attempts:
            if one.stack:
                typer.echo("\n".join([f"\nattempt {one.attempt}:", *(f"  {line}" for line in one.stack)]))
    if view.note:
        typer.echo(f"callboard: {view.note}", err=True)


def _row(one: "AttemptView") -> tuple[str, ...]:
    message = _first_line(one.error_message)
    return (
        str(one.attempt),
        one.outcome,
        _time(one.finished_at),
        duration(one.wait_ms),
        duration(one.run_ms),
        one.worker or "",
        one.error_code or "",
        ": ".join(part for part in (one.error_type, message) if part) or _first_line(one.reason),
    )


def _first_line(text: str | None) -> str:
    return (text or "").partition("\n")[0]


def _time(at: datetime | None) -> str:
    return at.replace(tzinfo=None).isoformat(" ", "seconds") if at else ""
