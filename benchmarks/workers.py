"""Runs one side's workers by the real `dramatiq` command, in a session of their own, and ends all of them."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.sides import Side, SideFailed

THREADS = 8
STOP_TIMEOUT_S = 20.0
ROOT = Path(__file__).parent.parent


class Workers:
    """`processes` worker processes of 8 threads, from entering to leaving the `with` block.

    `home` is where they run and where their log goes. Leaving raises SideFailed when they do not stop.
    """

    def __init__(self, side: Side, processes: int, home: Path) -> None:
        self._side = side
        self._log = home / f"{side.name}.log"
        self._command = [sys.executable, "-m", "dramatiq", side.module]
        self._command += ["-p", str(processes), "-t", str(THREADS)]
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._home,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        assert process is not None
        stopped = True
        try:
            process.terminate()
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            stopped = False
        finally:
            # The worker processes share the command's group: none may outlive it, whatever happened.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if not stopped and kind is None:
            raise SideFailed(
                f"The workers of {self._side.name} did not stop within {STOP_TIMEOUT_S:.0f} s; "
                f"their last words: {self._last_words()}"
            )

    def check(self) -> None:
        """Raise SideFailed when the command has ended by itself."""
        assert self._process is not None
        code = self._process.poll()
        if code is not None:
            raise SideFailed(
                f"The workers of {self._side.name} ended with exit code {code}; "
                f"their last words: {self._last_words()}"
            )

    def give_up(self, what: str) -> SideFailed:
        """The error for something that took too long."""
        return SideFailed(f"{self._side.name}: {what}; the workers' last words: {self._last_words()}")

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "none"


def pause(until: float) -> None:
    """Wait until a time of the monotonic clock."""
    time.sleep(max(0.0, until - time.monotonic()))
