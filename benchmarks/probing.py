"""Waiting for the start of single jobs, for the rows that measure time rather than rate."""

import time

from benchmarks.sides import TEXT, Side
from benchmarks.stamps import Stamps
from benchmarks.workers import Workers

PATIENCE_S = 30.0
#: The number of the job that shows that the workers are up.
BOOT = -1


def await_boot(side: Side, workers: Workers, stamps: Stamps) -> None:
    """Send one job and wait until it starts. Raises SideFailed."""
    side.stamp.send(BOOT, TEXT)
    await_stamp(workers, stamps)


def await_stamp(workers: Workers, stamps: Stamps) -> tuple[int, int]:
    """The next job that starts: its number and when, in monotonic nanoseconds. Raises SideFailed."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        stamp = stamps.receive(1.0)
        if stamp is not None:
            return stamp
        workers.check()
    raise workers.give_up(f"a job had not started after {PATIENCE_S:.0f} s")
