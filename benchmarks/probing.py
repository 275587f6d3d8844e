"""Waiting for the start of single jobs, for the rows that measure time rather than rate."""

import time

from benchmarks.processes import family
from benchmarks.sides import TEXT, Side
from benchmarks.stamps import Stamp, Stamps
from benchmarks.workers import Workers

PATIENCE_S = 30.0
#: The number of the job that shows that the workers are up.
BOOT = -1


def await_boot(side: Side, workers: Workers, stamps: Stamps) -> None:
    """Send jobs until one starts on these workers. Raises SideFailed."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        side.stamp.send(BOOT, TEXT)
        stamp = await_stamp(workers, stamps)
        if stamp.pid in {process.pid for process in family(workers.pid)}:
            return
        workers.check()  # others may be quicker, so that nobody misses these
    raise workers.give_up(f"no job had started on them after {PATIENCE_S:.0f} s")


def await_stamp(workers: Workers, stamps: Stamps) -> Stamp:
    """The next job that starts. Raises SideFailed."""
    stamp = await_stamp_until(workers, stamps, time.monotonic() + PATIENCE_S)
    if stamp is None:
        raise workers.give_up(f"a job had not started after {PATIENCE_S:.0f} s")
    return stamp


def await_stamp_until(workers: Workers, stamps: Stamps, deadline: float) -> Stamp | None:
    """The next job that starts, or None at a time of the monotonic clock. Raises SideFailed when the
    workers end."""
    while (left := deadline - time.monotonic()) > 0:
        stamp = stamps.receive(min(1.0, left))
        if stamp is not None:
            return stamp
        workers.check()
    return None
