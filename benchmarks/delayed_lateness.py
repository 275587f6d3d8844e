"""How late a delayed job starts: jobs due in one to two seconds, on a worker that has nothing else to do."""

import time

from benchmarks.measurement import Measurement, Round, percentile
from benchmarks.probing import await_boot, await_stamp
from benchmarks.sides import TEXT, Side
from benchmarks.stamps import Stamps
from benchmarks.workers import Workers

JOBS = 300
DELAY_MS = (1_000, 2_000)
#: Due times are whole milliseconds, so a job may seem a fraction early; a ratio needs a number above 0.
LEAST_MS = 0.1


def measure(side: Side, turn: Round) -> float:
    """The 99th percentile, in milliseconds after the due time that the caller asked for."""
    draws = turn.draws()
    jobs = turn.scaled(JOBS)
    due = []
    side.clear()
    with Stamps(turn.home / "stamps.sock") as stamps, Workers(side, 1, turn.home) as workers:
        await_boot(side, workers, stamps)
        for number in range(jobs):
            delay = draws.randint(*DELAY_MS)
            due.append(time.monotonic_ns() + delay * 1_000_000)
            side.stamp.send_with_options(args=(number, TEXT), delay=delay)
        started = dict(await_stamp(workers, stamps) for _ in range(jobs))
    lateness = [(started[number] - due[number]) / 1e6 for number in range(jobs)]
    return max(LEAST_MS, percentile(lateness, 99))


DELAYED_LATENESS = Measurement("delayed_lateness_p99", "ms", False, measure)
