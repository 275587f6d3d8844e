"""How much CPU a drained job costs: the worker process with all that it starts, and the server.

The same drain as `drain_1p`, and the same part of it: neither the start nor the end of a process counts.
"""

from benchmarks import server
from benchmarks.drain import FROM, JOBS, TO, Sample, progress
from benchmarks.measurement import Measurement, Reading, Round, Target
from benchmarks.processes import cpu_s
from benchmarks.sides import Side
from benchmarks.workers import Workers

#: Fewer would be over between two samples.
LEAST_JOBS = 1_000


def measure(side: Side, turn: Round) -> Reading:
    """Microseconds of both together."""
    jobs = turn.scaled(JOBS[1], LEAST_JOBS)
    side.clear()
    side.fill(jobs)
    with Workers(side, 1, turn.home) as workers:
        first = last = None
        for sample in progress(side, workers, jobs):
            if first is None and sample[1] >= jobs * FROM:
                first = _Spent(side, workers, sample)
            elif first is not None and last is None and sample[1] >= jobs * TO:
                last = _Spent(side, workers, sample)
        side.verify(jobs, workers.check)
    if first is None or last is None or first.jobs == last.jobs:
        raise workers.give_up(f"{jobs:,} jobs were over too soon to be measured")
    count = last.jobs - first.jobs
    worker = (last.worker_s - first.worker_s) * 1e6 / count
    its_server = (last.server_s - first.server_s) * 1e6 / count
    return Reading(worker + its_server, {"worker": worker, "server": its_server})


class _Spent:
    """What had been spent when so many jobs were settled."""

    def __init__(self, side: Side, workers: Workers, sample: Sample) -> None:
        self.jobs = sample[1]
        self.server_s = server.cpu_s(side.server)
        self.worker_s = cpu_s(workers.pid)


CPU_PER_JOB = Measurement("cpu_us_per_job", "µs", False, Target(ratio=2), measure)
