"""How many jobs a second workers of the real command finish, the whole stack on.

All jobs are in the queue before the workers start. What counts is the time between the settlement of
the first 10 % and of the first 90 %, as the server's own counts tell, so neither the start of the
processes nor the last stragglers are in it. Both sides are asked for one number twenty times a second.
"""

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise

from benchmarks.measurement import Measurement, Reading, Round, Target
from benchmarks.sides import Side
from benchmarks.workers import Workers, pause

JOBS = {1: 8_000, 2: 12_000}
FROM, TO = 0.1, 0.9
LOOK_EVERY_S = 0.05
STUCK_AFTER_S = 30.0

#: Times, and how many jobs were settled then.
Sample = tuple[float, int]


def measure(side: Side, turn: Round, processes: int) -> Reading:
    """Jobs a second of all processes together."""
    jobs = turn.scaled(JOBS[processes])
    side.clear()
    side.fill(jobs)
    with Workers(side, processes, turn.home) as workers:
        samples = list(progress(side, workers, jobs))
        side.verify(jobs, workers.check)
    return Reading(rate(samples, jobs * FROM, jobs * TO))


def progress(side: Side, workers: Workers, jobs: int) -> Iterator[Sample]:
    """Samples until `jobs` more are settled. Raises SideFailed when nothing moves any more."""
    before = side.pending()
    sample = (time.monotonic(), 0)
    moved = sample[0]
    yield sample
    while sample[1] < jobs:
        workers.check()
        pause(sample[0] + LOOK_EVERY_S)
        done, now = before - side.pending(), time.monotonic()
        if done > sample[1]:
            moved = now
        elif now - moved > STUCK_AFTER_S:
            raise workers.give_up(
                f"{done:,} of {jobs:,} jobs were settled, then none for {now - moved:.0f} s"
            )
        sample = (now, done)
        yield sample


def rate(samples: Sequence[Sample], first: float, last: float) -> float:
    """Jobs a second from the settlement of job number `first` to that of number `last`."""
    return (last - first) / (_crossing(samples, last) - _crossing(samples, first))


def _crossing(samples: Sequence[Sample], target: float) -> float:
    """When the count passed `target`, on a straight line between the two samples around it."""
    for (before, low), (after, high) in pairwise(samples):
        if high >= target:
            return before + (after - before) * (target - low) / (high - low)
    raise ValueError(f"the count never reached {target:.0f}")


DRAIN_1P = Measurement("drain_1p", "jobs/s", True, Target(ratio=4), lambda side, turn: measure(side, turn, 1))
DRAIN_2P = Measurement(
    "drain_2p", "jobs/s", True, Target(ratio=2.5), lambda side, turn: measure(side, turn, 2)
)
