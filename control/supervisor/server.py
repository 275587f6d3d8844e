"""The embedded server under supervision: started first, restarted when it dies, stopped last."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from broker.redis.embedded import EmbeddedServer, ServerNotStarted, free_port, read_address
from broker.redis.facts import read_facts
from control.supervisor.children import FIRST_WAIT, LONGEST_WAIT
from jobs.errors import StoreUnavailable

ORPHAN_LIMIT = 30.0  # seconds for a left-behind server to write what it holds


class KeptServer:
    """One embedded server that is there for as long as its supervisor is."""

    def __init__(self, home: Path, say: Callable[[str], None]) -> None:
        # A fixed port and password: workers and API find it again after a restart.
        self._server = EmbeddedServer(home, port=free_port())
        self._home = home
        self._say = say
        self._wait = FIRST_WAIT
        self._start_at: float | None = None

    def start(self) -> None:
        """Start it. Raises ServerNotStarted. The home's lock must be held."""
        self._end_orphan()
        self._server.start()

    def look(self) -> None:
        """Start it again when it has died, with growing pauses while that fails."""
        if self._server.running():
            return
        if self._start_at is None:
            self._say(f"the server died; starting it again in {self._wait:.0f} s")
            self._start_at = time.monotonic() + self._wait
        if time.monotonic() < self._start_at:
            return
        self._start_at = None
        self._wait = min(LONGEST_WAIT, self._wait * 2)
        try:
            self._server.start()
        except ServerNotStarted as error:
            self._say(str(error))
        else:
            self._wait = FIRST_WAIT
            self._say("the server is back; every accepted job is still there")

    def stop(self) -> None:
        """Let it write what it holds, and end."""
        self._server.stop()

    def _end_orphan(self) -> None:
        """End the server of a supervisor that was killed: two servers on one file would ruin it."""
        address = read_address(self._home)
        if address is None:
            return
        try:
            pid = read_facts(address).pid  # it answers to our password, so it is ours
        except StoreUnavailable:
            return  # the process number belongs to somebody else by now
        if pid is None:
            return
        self._say(f"ending the server that an earlier run left behind (process {pid})")
        os.kill(pid, signal.SIGTERM)
        psutil.wait_procs(_process(pid), timeout=ORPHAN_LIMIT)


def _process(pid: int) -> list[psutil.Process]:
    try:
        return [psutil.Process(pid)]
    except psutil.NoSuchProcess:
        return []
