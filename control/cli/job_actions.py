"""`callboard jobs`: why a job waits, and what an operator does to it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from control.cli.operator import operator
from control.cli.output import print_json

if TYPE_CHECKING:
    from control.service import JobActions, JobAnswer

JobId = Annotated[str, typer.Argument(help="The job's id.", show_default=False)]
JobIds = Annotated[list[str], typer.Argument(help="Ids of jobs.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def why(job_id: JobId, as_json: AsJson = False) -> None:
    """Say why a job waits, or what became of it."""
    from actors import app
    from control.service import JobService

    view = JobService(app).why(job_id)
    if as_json:
        print_json(view.to_json())
        return
    typer.echo(f"{view.id} is {view.state} in {view.queue}")
    for reason in view.reasons:
        typer.echo(f"  {reason}")


def promote(job_ids: JobIds, as_json: AsJson = False) -> None:
    """Let delayed jobs, and jobs held by themselves, start now."""
    _answer(_verbs().promote(job_ids), as_json)


def priority(
    level: Annotated[int, typer.Argument(min=1, max=10, help="1 is first.", show_default=False)],
    job_ids: JobIds,
    as_json: AsJson = False,
) -> None:
    """Give jobs that have not started another priority."""
    _answer(_verbs().set_priority(job_ids, level), as_json)


def cancel(
    job_ids: JobIds,
    reason: Annotated[str, typer.Option(help="Why, for whoever looks at the job.")] = "",
    as_json: AsJson = False,
) -> None:
    """Cancel jobs: at once those that have not started; of what runs the worker is told."""
    _answer(_verbs().cancel(job_ids, reason), as_json)


def remove(job_ids: JobIds, as_json: AsJson = False) -> None:
    """Remove jobs that do not run."""
    _answer(_verbs().remove(job_ids), as_json)


def retry(
    job_ids: JobIds,
    from_start: Annotated[bool, typer.Option("--from-start", help="Run finished steps again too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run failed and cancelled jobs again, with all their attempts. See also retry-failed."""
    _answer(_verbs().retry(job_ids, from_start=from_start), as_json)


def retry_failed(
    queue: Annotated[str | None, typer.Option(help="Where they ran, or a dead-letter queue.")] = None,
    actor: Annotated[str | None, typer.Option(help="The actor that failed.")] = None,
    error: Annotated[str | None, typer.Option(help="The error's type, such as LoginRefused.")] = None,
    tenant: Annotated[str | None, typer.Option(help="The tenant they belong to.")] = None,
    since: Annotated[str | None, typer.Option(help="Failed then or later: 2026-03-01T08:00, or 2h.")] = None,
    until: Annotated[str | None, typer.Option(help="Failed before then.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, they are only counted.")] = False,
) -> None:
    """Count the dead letters that fit all that is given, and with --yes run them again."""
    from actors import app
    from control.cli.arguments import read_filter
    from control.cli.chunks import carry_out
    from control.service import DeadLetters

    given = {"queue": queue, "name": actor, "errorType": error, "tenantId": tenant}
    wanted = read_filter(given, since=since, until=until)
    letters = DeadLetters(app, operator(app.settings.home))
    found = None
    for survey in letters.survey(wanted):
        found = survey
    if found is None or not found.matched:
        typer.echo("no dead letter fits")
        return
    for kind, count in found.errors.most_common():
        typer.echo(f"{count:>9,} {kind}")
    if not yes:
        typer.echo(f"{found.matched:,} would run again; add --yes to do it")
        return
    raise typer.Exit(carry_out(letters.retry(wanted, found.newest), found.matched, "run again"))


def _verbs() -> "JobActions":
    from actors import app
    from control.service import JobActions

    return JobActions(app, operator(app.settings.home))


def _answer(answers: "Sequence[JobAnswer]", as_json: bool) -> None:
    """Say what became of each; the exit code is 1 when one of them was not done."""
    if as_json:
        print_json([answer.to_json() for answer in answers])
    else:
        for answer in answers:
            typer.echo(answer.message if answer.done else f"callboard: {answer.message}", err=not answer.done)
    raise typer.Exit(0 if all(answer.done for answer in answers) else 1)
