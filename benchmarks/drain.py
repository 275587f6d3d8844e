"""How many jobs a second workers of the real command finish, the whole stack on.

All jobs are in the queue before the workers start. What counts is the time between the settlement of
the first 10 % and of the first 90 %, as the server's own counts tell, so neither the start of the
processes nor the last stragglers are in it. Both sides are asked for one number twenty times a second.
"""

import time
from collections.abc import Sequence
from itertools import pairwise

from benchmarks.measurement import Measurement, Round
from benchmarks.sides import Side
from benchmarks.workers import Workers, pause

JOBS = {1: 8_000, 2: 12_000}
FROM, TO = 0.1, 0.9
LOOK_EVERY_S = 0.05
STUCK_AFTER_S = 30.0


def measure(side: Side, turn: Round, processes: int) -> float:
    """Jobs a second of all processes together."""
    jobs = turn.scaled(JOBS[processes])
    side.clear()
    side.fill(jobs)
    with Workers(side, processes, turn.home) as workers:
        samples = _watch(side, workers, jobs)
        side.verify(jobs)
    elapsed = _crossing(samples, jobs * TO) - _crossing(samples, jobs * FROM)
    return jobs * (TO - FROM) / elapsed


def _watch(side: Side, workers: Workers, jobs: int) -> list[tuple[float, int]]:
    """Times, and how many jobs were settled then, until all are."""
    samples = [(time.monotonic(), 0)]
    moved = samples[0][0]
    while samples[-1][1] < jobs:
        workers.check()
        pause(samples[-1][0] + LOOK_EVERY_S)
        done, now = jobs - side.pending(), time.monotonic()
        if done > samples[-1][1]:
            moved = now
        elif now - moved > STUCK_AFTER_S:
            raise workers.give_up(
                f"{done:,} of {jobs:,} jobs were settled, then none for {now - moved:.0f} s"
            )
        samples.append((now, done))
    return samples


def _crossing(samples: Sequence[tuple[float, int]], target: float) -> float:
    """When the count passed `target`, on a straight line between the two samples around it."""
    for (before, low), (after, high) in pairwise(samples):
        if high >= target:
            return before + (after - before) * (target - low) / (high - low)
    raise ValueError(f"the count never reached {target:.0f}")


DRAIN_1P = Measurement("drain_1p", "jobs/s", True, lambda side, turn: measure(side, turn, 1))
DRAIN_2P = Measurement("drain_2p", "jobs/s", True, lambda side, turn: measure(side, turn, 2))
