"""Follows one job on the screen: a bar on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Iterable

import typer

from control.cli.output import duration
from control.service.views import JobView, ProgressView
from jobs.states import JobState

Sight = tuple[JobView, ProgressView]


def follow(sights: Iterable[Sight]) -> int:
    """Show each change; 0 when the job completed, 1 when it failed or was cancelled."""
    last = _bar(sights) if sys.stdout.isatty() else _lines(sights)
    typer.echo(_verdict(last))
    return 0 if last.state is JobState.COMPLETED else 1


def _lines(sights: Iterable[Sight]) -> JobView:
    said = None
    for job, progress in sights:
        line = f"{job.id} {job.state} {progress.percent:.0f} % {progress.message or ''}".rstrip()
        if line != said and not job.state.settled:
            typer.echo(line)
        said = line
    return job


def _bar(sights: Iterable[Sight]) -> JobView:
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.fields[state]:<9}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task("", total=100, state="")
        for job, progress in sights:
            description = escape(progress.message or "")
            bar.update(task, completed=progress.percent, description=description, state=job.state.value)
    return job


def _verdict(job: JobView) -> str:
    took = f" after {duration(job.run_ms)}" if job.run_ms is not None else ""
    text = f"{job.id} {job.state}{took}, attempt {job.attempts_made} of {job.opts.attempts}"
    return f"{text}: {job.failed_reason}" if job.failed_reason else text
