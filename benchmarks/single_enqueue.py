"""How many `actor.send()` a second one producer process makes in a loop."""

import time

from benchmarks.measurement import Measurement, Reading, Round, Target
from benchmarks.sides import TEXT, Side

JOBS = 4_000
WARM_UP = 50


def measure(side: Side, turn: Round) -> Reading:
    """Jobs a second."""
    jobs = turn.scaled(JOBS)
    side.clear()
    for number in range(WARM_UP):
        side.noop.send(number, TEXT)
    began = time.perf_counter()
    for number in range(jobs):
        side.noop.send(number, TEXT)
    return Reading(jobs / (time.perf_counter() - began))


SINGLE_ENQUEUE = Measurement("single_enqueue", "jobs/s", True, Target(ratio=1.5), measure)
