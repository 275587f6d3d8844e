"""`callboard jobs logs`: what a job wrote about itself."""

from typing import TYPE_CHECKING, Annotated

import typer

from control.cli.output import print_json

if TYPE_CHECKING:
    from control.service.views import LogLineView


def logs(
    job_id: Annotated[str, typer.Argument(help="The job's id.", show_default=False)],
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the job has settled.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the lines that a job logged."""
    from actors import app
    from control.service import JobService

    service = JobService(app)
    if follow:
        for attempt, line in service.follow_logs(job_id):
            typer.echo(_text(attempt, line))
        return
    found = service.logs(job_id)
    if as_json:
        print_json([log.to_json() for log in found])
        return
    for log in found:
        if log.dropped:
            typer.echo(f"#{log.attempt} … {log.dropped:,} older lines were too many to be kept")
        for line in log.lines:
            typer.echo(_text(log.attempt, line))
    if not found:
        left_out = "job_log" in app.settings.middleware.without
        why = ": job_log is left out (middleware.without)" if left_out else ""
        typer.echo(f"job {job_id} has logged nothing{why}")


def _text(attempt: int, line: "LogLineView") -> str:
    import orjson

    at = line.at.strftime("%H:%M:%S.%f")[:-3] if line.at else "--:--:--.---"
    values = " ".join(f"{name}={orjson.dumps(value).decode()}" for name, value in line.values.items())
    return f"#{attempt} {at} {line.level:<7} {_plain(line.message)} {_plain(values)}".rstrip()


def _plain(text: str) -> str:
    """Without what would move a terminal's cursor."""
    return "".join(mark if mark.isprintable() else " " for mark in text)
