"""What the registry says of this process: asked at each heartbeat."""

import os
import resource
import socket
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from jobs.model import WorkerInfo


@dataclass(frozen=True, slots=True)
class Identity:
    """One worker process. `queues` and `running` are asked each time."""

    owner: str
    name: str
    version: str
    threads: int
    actors: tuple[str, ...]
    readers: tuple[str, ...]
    queues: Callable[[], Iterable[str]]
    running: Callable[[], int]
    started_at: int = field(default_factory=lambda: time.time_ns() // 1_000_000)

    def __call__(self) -> WorkerInfo:
        host, pid = socket.gethostname(), os.getpid()
        return WorkerInfo(
            owner=self.owner,
            host=host,
            pid=pid,
            version=self.version,
            threads=self.threads,
            queues=tuple(sorted(self.queues())),
            started_at=self.started_at,
            name=self.name or f"{host}:{pid}",
            actors=self.actors,
            running=self.running(),
            memory_bytes=resident_bytes(),
            readers=self.readers,
        )


def resident_bytes() -> int:
    """The memory of this process; where the system does not say it, the most there ever was."""
    try:
        with open("/proc/self/statm") as file:  # noqa: PTH123  no Path object for each heartbeat
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
