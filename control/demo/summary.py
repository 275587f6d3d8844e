"""The end of the demo: a table of the jobs, the files made, and whether the books balance."""

import time
from typing import TYPE_CHECKING

import orjson
from rich.console import Console
from rich.table import Table

from control.demo.stage import DemoFailed, Stage
from control.demo.story import Story
from control.service.reading import failed_reason
from jobs.model import Job
from jobs.states import JobState

if TYPE_CHECKING:
    from actors.composition import App

#: Audit rows are written in batches, a moment after the attempts.
ROWS_WITHIN_S = 15.0
NEXT = "`callboard dead list` shows dead letters, `callboard jobs retry ID` runs one again."
CAPTION = "wait: from send() to the last start; run: the last attempt"


def close_the_books(console: Console, app: "App", stage: Stage, story: Story) -> None:
    """Print the end. Raises DemoFailed unless there is one audit row for each attempt."""
    jobs = story.jobs()
    console.print(_table(jobs))
    for _, job in jobs:
        record = orjson.loads(job.record) if job.record else {}
        result = record.get("result")
        if isinstance(result, dict) and "path" in result:
            console.print(f"  {result['path']}  ({result['size']:,} bytes)", soft_wrap=True, highlight=False)
    attempts = sum(job.attempts for _, job in jobs)
    rows = _audit_rows(app, attempts)
    console.print(f"\n{attempts} attempts, {rows} audit rows: ", end="")
    if rows != attempts:
        console.print("[red]they differ[/]")
        raise DemoFailed("There is not one audit row for each attempt.")
    console.print("[green]equal[/]")
    console.print(f"Killed: {story.killed}; its job was finished elsewhere.")
    for title, job in jobs:
        if job.state is JobState.FAILED:
            reason = (failed_reason(job) or "no reason given").partition("\n")[0]
            console.print(f"Dead letter: {title}, because {reason}", markup=False, soft_wrap=True)
    console.print(f"With `make up`: {NEXT}", markup=False, soft_wrap=True)
    console.print(f"Logs and data of this run: {stage.home}", soft_wrap=True)


def _table(jobs: list[tuple[str, Job]]) -> Table:
    table = Table("job", "queue", "state", title="\nWhat became of the jobs", caption=CAPTION)
    for heading in ("attempts", "wait", "run"):
        table.add_column(heading, justify="right")
    for title, job in jobs:
        style = "red" if job.state is JobState.FAILED else "green"
        state = f"[{style}]{job.state}[/]"
        wait = _seconds(job.created_at, job.started_at)
        table.add_row(
            title, job.queue, state, str(job.attempts), wait, _seconds(job.started_at, job.finished_at)
        )
    return table


def _seconds(start: int | None, end: int | None) -> str:
    return "" if start is None or end is None else f"{(end - start) / 1000:.2f} s"


def _audit_rows(app: "App", expected: int) -> int:
    from database.audit import AuditReader

    reader, deadline = AuditReader(app.engine()), time.monotonic() + ROWS_WITHIN_S
    while (rows := reader.count_executions()) < expected and time.monotonic() < deadline:
        time.sleep(0.1)
    return rows
