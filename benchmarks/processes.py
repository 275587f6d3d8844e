"""Process trees as Linux tells of them in /proc: who descends from whom, and the CPU time they took."""

import os
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

TICKS = os.sysconf("SC_CLK_TCK")
LOOK_EVERY_S = 0.02


class Process(NamedTuple):
    """`cpu_s` is user and system time, with that of children that have ended; `born` tells a number that
    is used again from the process that had it before."""

    pid: int
    parent: int
    born: int
    cpu_s: float


def family(pid: int) -> list[Process]:
    """A process and all that descend from it, parents first; nothing when it is gone."""
    everybody = {process.pid: process for process in _everybody()}
    found = [everybody[pid]] if pid in everybody else []
    for ancestor in found:
        found += [process for process in everybody.values() if process.parent == ancestor.pid]
    return found


def cpu_s(pid: int) -> float:
    """CPU seconds of a whole family so far; the resolution is that of the kernel's clock, mostly 10 ms."""
    return sum(process.cpu_s for process in family(pid))


def end_all(processes: Collection[Process], timeout_s: float) -> list[int]:
    """Wait until they are gone; what is left after `timeout_s` is killed. Returns the killed ones."""
    deadline = time.monotonic() + timeout_s
    while left := _still_there(processes):
        if time.monotonic() > deadline:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return left
        time.sleep(LOOK_EVERY_S)
    return []


def _still_there(processes: Collection[Process]) -> list[int]:
    alive = ((old, _read(Path(f"/proc/{old.pid}/stat"))) for old in processes)
    return [old.pid for old, now in alive if now is not None and now.born == old.born]


def _everybody() -> Iterator[Process]:
    for file in Path("/proc").glob("[0-9]*/stat"):
        process = _read(file)
        if process is not None:
            yield process


def _read(stat: Path) -> Process | None:
    """None for a process that has ended, also while nobody has asked for its exit code."""
    try:
        # The name in the middle may hold blanks and brackets.
        pid, rest = stat.parent.name, stat.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if rest[0] in "ZX":
        return None
    return Process(int(pid), int(rest[1]), int(rest[19]), sum(map(int, rest[11:15])) / TICKS)
