"""How many jobs a second go in by batches of 1,000; stock has no batch, so it sends the same jobs singly."""

import time

from benchmarks.measurement import Measurement, Reading, Round, Target
from benchmarks.sides import Side

#: Five batches.
JOBS = 5_000
WARM_UP = 50


def measure(side: Side, turn: Round) -> Reading:
    """Jobs a second, the making of the messages included on both sides."""
    jobs = turn.scaled(JOBS)
    side.clear()
    side.fill(WARM_UP)
    began = time.perf_counter()
    side.fill(jobs)
    return Reading(jobs / (time.perf_counter() - began))


SEND_MANY = Measurement("send_many_1000", "jobs/s", True, Target(ratio=8), measure)
