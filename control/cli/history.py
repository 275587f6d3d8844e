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
        headers = ("attempt", "outcome", "ended (UTC)", "wait", "run", "worker", "kind", "failed because")
        print_table(headers, map(_row, view.attempts))
    else:
        typer.echo("  no attempt of it has ended")
    if stack:
        for one in view.attempts:
            typer.echo("".join(f"\n  {line}" for line in one.stack), nl=bool(one.stack))
    if view.note:
        typer.echo(f"callboard: {view.note}", err=True)


def _row(one: "AttemptView") -> tuple[str, ...]:
    message = (one.error_message or "").partition("\n")[0]
    return (
        str(one.attempt),
        one.outcome,
        _time(one.finished_at),
        duration(one.wait_ms),
        duration(one.run_ms),
        one.worker or "",
        one.error_code or "",
        ": ".join(part for part in (one.error_type, message) if part),
    )


def _time(at: datetime | None) -> str:
    return at.replace(tzinfo=None).isoformat(" ", "seconds") if at else ""
