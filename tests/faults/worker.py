"""One worker process, and what can be done to it."""

import os
import signal
import subprocess
from contextlib import suppress

import psutil

from jobs.model import WorkerInfo
from tests.waiting import eventually


class WorkerUnderTest:
    """One `dramatiq` command. `pid` is the process that runs jobs; the command itself only watches it."""

    def __init__(self, command: "subprocess.Popen[bytes]", info: WorkerInfo) -> None:
        self.command = command
        self.owner = info.owner
        self.pid = info.pid

    @property
    def helpers(self) -> list[int]:
        """The lease helper of this process, while there is one."""
        try:
            children = psutil.Process(self.pid).children()
        except psutil.NoSuchProcess:
            return []
        return [child.pid for child in children]

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def kill_helper(self) -> None:
        for pid in self.helpers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def lose_host(self) -> None:
        """Worker and helper end at once, as with a host that loses power."""
        helpers = eventually(lambda: self.helpers)
        os.kill(self.pid, signal.SIGSTOP)  # so that the helper does not outlive it for a moment
        for pid in helpers:
            os.kill(pid, signal.SIGKILL)
        self.kill()

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)

    def terminate(self) -> None:
        self.command.send_signal(signal.SIGTERM)

    def ended(self) -> bool:
        return self.command.poll() is not None
