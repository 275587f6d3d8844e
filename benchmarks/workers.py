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

from benchmarks.processes import end_all, family
from benchmarks.sides import Side, SideFailed

THREADS = 8
STOP_TIMEOUT_S = 20.0
ROOT = Path(__file__).parent.parent


class Workers:
    """`processes` worker processes, from entering to leaving the `with` block.

    `home` is where they run and where their log goes, under `name`. `module` is what the command loads
    (the side's own), `environment` what it gets beside ours. Leaving waits for all that they have started
    and raises SideFailed when it does not stop.
    """

    def __init__(
        self,
        side: Side,
        processes: int,
        home: Path,
        *,
        threads: int = THREADS,
        module: str = "",
        environment: dict[str, str] | None = None,
        name: str = "",
    ) -> None:
        self._side = side
        self._log = home / f"{name or side.name}.log"
        self._command = [sys.executable, "-m", "dramatiq", module or side.module]
        self._command += ["-p", str(processes), "-t", str(threads)]
        self._home = home
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False

    @property
    def pid(self) -> int:
        """Of the command; the workers are its children."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._home,
                env=os.environ | {"PYTHONPATH": str(ROOT)} | self._environment,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        assert process is not None
        started = family(process.pid)[1:]
        left: list[int] = []
        try:
            process.terminate()
            # The command itself would take another second to end when its workers have.
            left = end_all(started, STOP_TIMEOUT_S)
        finally:
            # The worker processes share the command's group: none may outlive it, whatever happened.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if left and kind is None and not self._killed:
            raise SideFailed(
                f"The workers of {self._side.name} did not stop within {STOP_TIMEOUT_S:.0f} s; "
                f"their last words: {self._last_words()}"
            )

    def kill(self, worker: int) -> None:
        """End one worker process as a crash does."""
        self._killed = True
        os.kill(worker, signal.SIGKILL)

    def kill_all(self, worker: int) -> None:
        """End the command, its workers and their helpers as the loss of a host does, `worker`'s helpers
        first, so that they do not see it die."""
        self._killed = True
        helpers = [process.pid for process in family(worker)][1:]
        for pid in (*helpers, worker, *(process.pid for process in family(self.pid))):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

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
        lines = self._log.read_text(errors="replace").strip().splitlines() or ["none"]
        # What a worker dies of is said before the command says that it died.
        return next((line for line in lines if "[CRITICAL]" in line), lines[-1])


def pause(until: float) -> None:
    """Wait until a time of the monotonic clock."""
    time.sleep(max(0.0, until - time.monotonic()))
