"""The end of the demo: a table of the jobs, the files made, and whether the books balance."""

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from control.demo.scene import Part, Scene
from control.demo.stage import DemoFailed
from control.service.reading import failed_reason
from jobs.states import JobState

if TYPE_CHECKING:
    from actors.composition import App

#: Audit rows are written in batches, a moment after the attempts.
ROWS_WITHIN_S = 15.0
NEXT = "`callboard dead list` shows dead letters, `callboard jobs retry ID` runs one again."
CAPTION = "wait: from send() to the last start; run: last attempt; several: the longest"
STYLES = {JobState.FAILED: "red", JobState.CANCELLED: "yellow"}


def close_the_books(console: Console, scene: Scene) -> None:
    """Print the end. Raises DemoFailed unless there is one audit row for each attempt."""
    console.print(_table(scene))
    for file in scene.files:
        console.print(f"  {file}", markup=False, soft_wrap=True, highlight=False)
    attempts = sum(_attempts(scene, part) for part in scene.parts)
    rows = _audit_rows(scene.app, attempts)
    console.print(f"\n{attempts} attempts, {rows} audit rows: ", end="")
    if rows != attempts:
        console.print("[red]they differ[/]")
        raise DemoFailed("There is not one audit row for each attempt.")
    console.print("[green]equal[/]")
    console.print(f"Killed: {scene.killed}; its job was finished elsewhere.")
    for part in scene.parts:
        if part.ends is JobState.FAILED:
            reason = (failed_reason(scene.job(part)) or "no reason given").partition("\n")[0]
            console.print(f"Dead letter: {part.title}, because {reason}", markup=False, soft_wrap=True)
    console.print(f"With `make up`: {NEXT}", markup=False, soft_wrap=True)
    console.print(f"Logs and data of this run: {scene.stage.home}", soft_wrap=True)


def _table(scene: Scene) -> Table:
    table = Table(title="\nWhat became of the jobs", caption=CAPTION, show_footer=True)
    jobs, attempts = sum(len(part.ids) for part in scene.parts), 0
    for heading in ("job", "queue", "state"):
        table.add_column(heading)
    for heading in ("attempts", "wait", "run"):
        table.add_column(heading, justify="right")
    for part in scene.parts:
        attempts += _attempts(scene, part)
        table.add_row(*_row(scene, part))
    table.columns[0].footer, table.columns[2].footer = "together", f"{jobs} jobs"
    table.columns[3].footer = str(attempts)
    return table


def _row(scene: Scene, part: Part) -> tuple[str, ...]:
    jobs = scene.jobs(part)
    state = f"[{STYLES.get(part.ends, 'green')}]{part.ends}[/]"
    wait = max(_span(job.created_at, job.started_at) for job in jobs)
    run = max(_span(job.started_at, job.finished_at) for job in jobs)
    return part.title, jobs[0].queue, state, str(_attempts(scene, part)), f"{wait:.2f} s", f"{run:.2f} s"


def _attempts(scene: Scene, part: Part) -> int:
    return part.before + sum(job.attempts for job in scene.jobs(part))


def _span(start: int | None, end: int | None) -> float:
    """Seconds."""
    return 0.0 if start is None or end is None else (end - start) / 1000


def _audit_rows(app: "App", expected: int) -> int:
    from database.audit import AuditReader

    reader, deadline = AuditReader(app.engine()), time.monotonic() + ROWS_WITHIN_S
    while (rows := reader.count_executions()) < expected and time.monotonic() < deadline:
        time.sleep(0.1)
    return rows
