"""A program under test: its lines as they come, its signals, its end."""

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, TypeVar

from tests.waiting import eventually

T = TypeVar("T")

ROOT = Path(__file__).parents[2]

#: Seconds. A command is there after one or two; where twenty others want the processor, after half a minute.
LONG_S = 80.0


class Running:
    """Its lines are those of `output`, by default its standard output."""

    def __init__(self, process: subprocess.Popen[str], output: TextIO | None = None) -> None:
        self.process = process
        self._output = output or process.stdout
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._output is not None
        try:
            for line in self._output:
                self.lines.append(line.rstrip("\n"))
        except OSError as error:
            if error.errno != errno.EIO:  # which is how a terminal says that its program has ended
                raise

    def line_with(self, text: str, times: int = 1, timeout: float = LONG_S) -> str:
        """The latest line that holds `text`, once there are so many of them."""

        def found() -> list[str]:
            lines = [line for line in list(self.lines) if text in line]
            return lines if len(lines) >= times else []

        return self.until(found, timeout)[-1]

    def until(self, probe: Callable[[], T], timeout: float = LONG_S) -> T:
        """What `eventually` gives; when it fails, the program's lines say why."""
        try:
            return eventually(probe, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}; its lines:\n" + "\n".join(self.lines)) from None

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self, timeout: float = LONG_S) -> int:
        """The exit code, when every line was read."""
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        return code


@contextmanager
def running(argv: Sequence[str], env: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Start it in a session of its own; whatever is left of it at the end is killed."""
    process = subprocess.Popen(
        argv,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    run = Running(process)
    try:
        yield run
    finally:
        if process.poll() is None:
            process.kill()
        run.ended()
        if process.stdout:
            process.stdout.close()


@contextmanager
def on_a_terminal(argv: Sequence[str], env: Mapping[str, str]) -> Iterator[Running]:
    """Start it with a terminal as its output. A redrawn line counts as a new one."""
    ours, theirs = os.openpty()
    with os.fdopen(ours, encoding="utf-8", newline=None) as output:
        process = subprocess.Popen(
            argv, cwd=ROOT, env={**env, "TERM": "xterm"}, stdin=subprocess.DEVNULL, stdout=theirs, text=True
        )
        os.close(theirs)
        run = Running(process, output)
        try:
            yield run
        finally:
            if process.poll() is None:
                process.kill()
            run.ended()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "control.cli", *arguments]


def callboard(env, *arguments, stdin=""):
    return subprocess.run(
        command(*arguments), env=env, cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=LONG_S
    )


def refused(result, code=1):
    """The one sentence of a refusal."""
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    (line,) = result.stderr.splitlines()
    return line
