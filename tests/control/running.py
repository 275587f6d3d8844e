"""A program under test: its lines as they come, its signals, its end."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import eventually

ROOT = Path(__file__).parents[2]


class Running:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def line_with(self, text: str, times: int = 1, timeout: float = 20) -> str:
        """The latest line that holds `text`, once there are so many of them."""

        def found() -> list[str]:
            lines = [line for line in list(self.lines) if text in line]
            return lines if len(lines) >= times else []

        try:
            return eventually(found, timeout)[-1]
        except AssertionError:
            raise AssertionError(f"no {text!r} in:\n" + "\n".join(self.lines)) from None

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self, timeout: float = 20) -> int:
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
