"""What a person sees of running jobs: bars on a terminal, a line for each change otherwise."""

import textwrap
import time
from collections.abc import Sequence
from typing import NamedTuple

import orjson
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from jobs.model import Job
from jobs.states import JobState

INDENT = "  "
#: Columns that a bar takes with its title, percent and time.
BESIDE_THE_NOTE = 41
_SETTLED_STYLE = {JobState.COMPLETED: "green", JobState.FAILED: "red", JobState.CANCELLED: "yellow"}


class Shown(NamedTuple):
    """One bar, or one line: a job, or several that were sent together."""

    title: str
    jobs: Sequence[Job]

    @property
    def settled(self) -> bool:
        return all(job.state.settled for job in self.jobs)


class Screen:
    """Shows jobs by their titles. Use it as a context manager; what is said stands above the bars."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = self._new_bars()
        self._tasks: dict[str, TaskID] = {}
        self._unsettled: set[str] = set()
        self._said: dict[str, tuple[str, int]] = {}

    def __enter__(self) -> "Screen":
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def begin(self, heading: str) -> None:
        """Begin an act: bars that are full stay where they are, the others go on below the heading."""
        for title in self._unsettled:
            self._bars.remove_task(self._tasks[title])
        self._bars.stop()
        self._bars, self._tasks, self._unsettled = self._new_bars(), {}, set()
        self._console.print(f"\n{heading}")
        self._bars.start()

    def say(self, text: str) -> None:
        """A sentence of the act."""
        wrapped = textwrap.fill(
            text,
            self._console.width - 1,
            initial_indent=INDENT,
            subsequent_indent=INDENT,
            break_long_words=False,
            break_on_hyphens=False,
        )
        self._console.print(wrapped, markup=False, highlight=False, soft_wrap=True)

    def typed(self, command: str) -> None:
        """What a person types for what is done now."""
        self._console.print(f"  [bold cyan]$ {escape(command)}[/]", soft_wrap=True)

    def show(self, shown: Sequence[Shown]) -> None:
        """Draw the present state."""
        for one in shown:
            if self._console.is_terminal:
                self._draw(one)
            else:
                self._line(one)

    def _draw(self, one: Shown) -> None:
        if one.title not in self._tasks:
            self._tasks[one.title] = self._bars.add_task(one.title, total=100, state="", note="", took="")
        state, percent, note = _where(one)
        style = _SETTLED_STYLE.get(one.jobs[-1].state, "cyan") if one.settled else "cyan"
        (self._unsettled.discard if one.settled else self._unsettled.add)(one.title)
        self._bars.update(
            self._tasks[one.title],
            completed=percent,
            took=_took(one),
            note=f"[{style}]{state}[/] {escape(note)}",
        )

    def _line(self, one: Shown) -> None:
        # Without a terminal a line each quarter is enough; of several jobs their end, of a start what runs.
        state, percent, note = _where(one)
        several = len(one.jobs) > 1
        now = (f"{state} {one.jobs[0].attempts}", 0 if several else int(percent // 25))
        silent = not one.settled if several else state == JobState.WAITING
        if silent or self._said.get(one.title) == now:
            return
        self._said[one.title] = now
        told = (f"  {one.title}: {state}", "" if several else f"{percent:.0f}%", note)
        self._console.print(", ".join(filter(None, told)), markup=False, soft_wrap=True)

    def _new_bars(self) -> Progress:
        width = max(10, self._console.width - BESIDE_THE_NOTE)
        note = Column(no_wrap=True, overflow="ellipsis", max_width=width)
        return Progress(
            TextColumn("  {task.description:<15}"),
            BarColumn(bar_width=10),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[took]:>6}"),
            TextColumn("{task.fields[note]}", table_column=note),
            console=self._console,
            disable=not self._console.is_terminal,
        )


def _where(one: Shown) -> tuple[str, float, str]:
    """State, percent, and what else there is to say."""
    if len(one.jobs) > 1:
        done = sum(job.state.settled for job in one.jobs)
        states = {job.state for job in one.jobs}
        state = str(states.pop()) if len(states) == 1 else "ended" if one.settled else "active"
        return state, 100 * done / len(one.jobs), f"{done} of {len(one.jobs)}"
    (job,) = one.jobs
    progress = orjson.loads(job.progress) if job.progress else {}
    percent = 100.0 if job.state is JobState.COMPLETED else float(progress.get("percent", 0))
    attempt = f"attempt {job.attempts}" if job.attempts > 1 else ""
    return str(job.state), percent, ", ".join(filter(None, (str(progress.get("message", "")), attempt)))


def _took(one: Shown) -> str:
    begun = min(job.created_at for job in one.jobs)
    ended = max(job.finished_at or 0 for job in one.jobs) if one.settled else time.time() * 1000
    return f"{max(0.0, ended - begun) / 1000:.1f} s"
