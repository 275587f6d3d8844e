"""How long a job waits on an idle worker: from before `send()` to the first line of the actor."""

import time

from benchmarks.measurement import Measurement, Reading, Round, Target, percentile
from benchmarks.probing import await_boot, await_stamp
from benchmarks.sides import TEXT, Side
from benchmarks.stamps import Stamps
from benchmarks.workers import Workers

PROBES = 20
#: The pause after one job's start and before the next job, in seconds: long enough that a worker that polls
#: has come to its longest pause.
PAUSE_S = (1.0, 2.0)


def measure(side: Side, turn: Round) -> Reading:
    """The 95th percentile, in milliseconds."""
    draws = turn.draws()
    waits = []
    side.clear()
    with Stamps(turn.home / "stamps.sock") as stamps, Workers(side, 1, turn.home) as workers:
        await_boot(side, workers, stamps)
        for number in range(turn.scaled(PROBES)):
            time.sleep(draws.uniform(*PAUSE_S))
            sent = time.monotonic_ns()
            side.stamp.send(number, TEXT)
            waits.append((await_stamp(workers, stamps).started - sent) / 1e6)
    return Reading(percentile(waits, 95))


IDLE_PICKUP = Measurement("idle_pickup_p95", "ms", False, Target(ratio=100, under=4), measure)
