"""One supervised process: started on a leash, its lines passed on, its end reported."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from control.supervisor.output import Terminal

FIRST_WAIT, LONGEST_WAIT, HEALTHY_AFTER = 1.0, 30.0, 60.0  # seconds
LAST_WORDS = 1.0  # seconds to read what an ended process wrote; a fork may hold its output open


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run: a name for the log, an absolute program with arguments, and more environment."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


class Child:
    """A process that is started as often as it must be. `on_exit` is called from another thread."""

    def __init__(self, spec: ChildSpec, terminal: Terminal, on_exit: Callable[["Child"], None]) -> None:
        self.spec = spec
        self.restart_at: float | None = None
        self._terminal = terminal
        self._on_exit = on_exit
        self._process: subprocess.Popen[str] | None = None
        self._lifeline: int | None = None
        self._started = 0.0
        self._failures = 0

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process."""
        self.restart_at = None
        self._started = time.monotonic()
        self._let_go()
        watched, self._lifeline = os.pipe()
        leash = (sys.executable, "-m", "control.supervisor.leash", str(watched))
        try:
            self._process = subprocess.Popen(  # noqa: S603 - a list of our own words, no shell
                [*leash, *self.spec.argv],
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self.spec.env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
                pass_fds=(watched,),
            )
        finally:
            os.close(watched)
        lines = threading.Thread(target=self._pass_lines, args=(self._process,), daemon=True)
        lines.start()
        threading.Thread(target=self._await_exit, args=(self._process, lines), daemon=True).start()

    def stop(self) -> None:
        """Ask it to finish. Only the leader is told: a second SIGTERM makes Dramatiq's forks give up."""
        if self._process is not None and self.running:
            self._process.terminate()

    def kill(self) -> None:
        """End it and all that it started, at once."""
        self._signal_group(signal.SIGKILL)
        self._let_go()

    def note_exit(self) -> str:
        """Take in that it ended: plan the restart, and say in one line what happened."""
        process = self._process
        if process is None or process.returncode is None:
            raise RuntimeError(f"{self.spec.name} has not ended")
        # Forks outlive a leader that was killed; told to stop, they drain beside its successor.
        self._signal_group(signal.SIGTERM)
        lived = time.monotonic() - self._started
        self._failures = 1 if lived >= HEALTHY_AFTER else self._failures + 1
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(self._failures - 1, 10))
        self.restart_at = time.monotonic() + wait
        return f"{self.spec.name} {_reason(process.returncode)} after {lived:.0f} s; again in {wait:.0f} s"

    def _let_go(self) -> None:
        """Close the pipe that the watcher of the last start waits on; that watcher was ended before."""
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return  # nobody of the group is left (macOS says "permission" for zombies)

    def _pass_lines(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self._terminal.line(self.spec.name, line.rstrip("\n"))

    def _await_exit(self, process: subprocess.Popen[str], lines: threading.Thread) -> None:
        process.wait()
        lines.join(LAST_WORDS)
        self._on_exit(self)


def _reason(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
