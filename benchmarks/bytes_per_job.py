"""How much of the server's memory a waiting job takes: a number and 200 bytes of text, sent as users do."""

from benchmarks import server
from benchmarks.measurement import Measurement, Reading, Round, Target
from benchmarks.sides import Side

JOBS = 100_000
#: So that scripts are loaded and the connection's buffers are there.
WARM_UP = 2_000


def measure(side: Side, turn: Round) -> Reading:
    """Bytes by the server's own account, over all jobs."""
    jobs = turn.scaled(JOBS)
    side.clear()
    side.fill(turn.scaled(WARM_UP))
    side.clear()
    before = server.used_memory(side.server)
    side.fill(jobs)
    taken = server.used_memory(side.server) - before
    side.clear()
    return Reading(taken / jobs)


# With a signature and a trace, when there will be any, at most 700.
BYTES_PER_JOB = Measurement("bytes_per_job", "bytes", False, Target(most=600), measure, rounds=1)
