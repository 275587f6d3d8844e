"""Follows one job on the screen: a bar on a terminal, plain lines elsewhere."""

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from control.cli.output import duration, print_json
from control.service.views import JobView, ProgressView
from jobs.states import JobState

if TYPE_CHECKING:
    from control.service import JobService

Sight = tuple[JobView, ProgressView]
NO_WORKER = "No living worker"  # how control.service.standing begins what nobody but a person can end
UNSERVED_AFTER = 2.0  # seconds: a worker that is starting has registered by then


def follow_job(service: "JobService", job_id: str, pause: Callable[[float], None] = time.sleep) -> int:
    """Follow a job on the screen; on stderr, once, that no worker will start it.

    Returns 0 when the job completed, 1 when it failed or was cancelled. Raises JobNotFound.
    """
    waited, said = 0.0, False

    def pausing(seconds: float) -> None:
        nonlocal waited, said
        pause(seconds)
        waited += seconds
        if not said and waited >= UNSERVED_AFTER:
            waited = 0.0
            for reason in _unserved(service, job_id):
                said = True
                typer.echo(f"callboard: {reason} Start one, or restart it if the actor is new.", err=True)

    return follow(service.watch(job_id, pausing))


def _unserved(service: "JobService", job_id: str) -> Iterator[str]:
    yield from (reason for reason in service.why(job_id).reasons if reason.startswith(NO_WORKER))


def follow(sights: Iterable[Sight]) -> int:
    """Show each change; 0 when the job completed, 1 when it failed or was cancelled."""
    last = _bar(sights) if sys.stdout.isatty() else _lines(sights)
    typer.echo(_verdict(last))
    if last.returnvalue is not None:
        print_json(last.returnvalue)
    return 0 if last.state is JobState.COMPLETED else 1


def _lines(sights: Iterable[Sight]) -> JobView:
    said, told = None, 0
    for job, progress in sights:
        if job.state is JobState.DELAYED and job.attempts_made > told:
            told = job.attempts_made
            typer.echo(_retry(job))
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
        task, told = bar.add_task("", total=100, state=""), 0
        for job, progress in sights:
            if job.state is JobState.DELAYED and job.attempts_made > told:
                told = job.attempts_made
                bar.console.print(_retry(job), markup=False, highlight=False)
            description = escape(progress.message or "")
            bar.update(task, completed=progress.percent, description=description, state=job.state.value)
    return job


def _retry(job: JobView) -> str:
    wait = max(0.0, (job.due_at - datetime.now(UTC)).total_seconds()) if job.due_at else 0.0
    reason = (job.failed_reason or "no reason given").partition("\n")[0]
    return f"attempt {job.attempts_made} failed: {reason}, again in {math.ceil(wait)} s"


def _verdict(job: JobView) -> str:
    took = f" after {duration(job.run_ms)}" if job.run_ms is not None else ""
    text = f"{job.id} {job.state}{took}, attempt {job.attempts_made} of {job.opts.attempts}"
    return f"{text}: {job.failed_reason}" if job.failed_reason else text
