"""What a person sees of running jobs: bars on a terminal, a line for each change otherwise."""

from collections.abc import Sequence

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from jobs.model import Job
from jobs.states import JobState

_SETTLED_STYLE = {JobState.COMPLETED: "green", JobState.FAILED: "red", JobState.CANCELLED: "yellow"}


class Screen:
    """Shows jobs by their titles. Use it as a context manager; `say` prints a sentence above the bars."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._said: dict[str, tuple[str, int]] = {}

    def __enter__(self) -> "Screen":
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def say(self, text: str) -> None:
        self._console.print(text)

    def show(self, jobs: Sequence[tuple[str, Job]]) -> None:
        """Draw the present state of jobs, each with its title."""
        for title, job in jobs:
            percent, note = _where(job)
            if self._console.is_terminal:
                self._draw(title, job, percent, note)
            else:
                self._line(title, job, percent, note)

    def _draw(self, title: str, job: Job, percent: float, note: str) -> None:
        if job.id not in self._tasks:
            self._tasks[job.id] = self._bars.add_task(title, total=100, note="")
        task, style = self._tasks[job.id], _SETTLED_STYLE.get(job.state, "cyan")
        self._bars.update(task, completed=percent, note=f"[{style}]{job.state}[/] {note}")
        if job.state.settled:
            self._bars.stop_task(task)

    def _line(self, title: str, job: Job, percent: float, note: str) -> None:
        # Without a terminal a line each quarter is enough.
        now = (f"{job.state} {job.attempts}", int(percent // 25))
        if self._said.get(job.id) != now:
            self._said[job.id] = now
            self._console.print(", ".join(filter(None, (f"  {title}: {job.state}", f"{percent:.0f}%", note))))


def _where(job: Job) -> tuple[float, str]:
    progress = orjson.loads(job.progress) if job.progress else {}
    percent = 100.0 if job.state is JobState.COMPLETED else float(progress.get("percent", 0))
    attempt = f"attempt {job.attempts} of {job.max_attempts}" if job.attempts > 1 else ""
    return percent, ", ".join(filter(None, (str(progress.get("message", "")), attempt)))
