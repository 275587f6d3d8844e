"""Long work in chunks: progress while it goes, Ctrl-C between two of them, and what was done at the end."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Protocol

import typer

if TYPE_CHECKING:
    from control.service.requests import Chunks

INTERRUPTED = 130
#: Without a terminal a line now and then is enough.
LINE_EVERY_S = 2.0


class Tell(Protocol):
    def __call__(self, done: int) -> None: ...


def carry_out(chunks: "Chunks", total: int, what: str) -> int:
    """Run all chunks, each of which says how many jobs it did, and show them against `total`.

    `what` is what is done to the jobs, such as "removed". Returns the exit code: 0, or 130 after Ctrl-C.
    """
    done, stopped = 0, False
    try:
        with between_chunks() as pressed, _shown(total, what) as tell:
            for chunk in chunks:
                done += chunk
                tell(done)
                if pressed():
                    stopped = True
                    break
    except Exception:
        if done:
            typer.echo(f"{done:,} of {total:,} jobs {what} before it failed; run it again to go on", err=True)
        raise
    finally:
        chunks.close()
    if stopped:
        typer.echo(f"stopped: {done:,} of {total:,} jobs {what}; run it again to go on")
        return INTERRUPTED
    typer.echo(f"{done:,} job{'' if done == 1 else 's'} {what}")
    return 0


@contextmanager
def between_chunks() -> Iterator[Callable[[], bool]]:
    """Lets the chunk that is under way end at Ctrl-C, so that what was done is known; a second one does not
    wait. Gives what tells whether it was pressed."""
    pressed = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _shown(total: int, what: str) -> Iterator[Tell]:
    if not sys.stdout.isatty():
        said = time.monotonic()

        def line(done: int) -> None:
            nonlocal said
            if time.monotonic() - said >= LINE_EVERY_S:
                said = time.monotonic()
                typer.echo(f"{done:,} of {total:,} {what}")

        yield line
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task(what, total=total)

        def draw(done: int) -> None:
            bar.update(task, completed=done, total=max(total, done))

        yield draw
