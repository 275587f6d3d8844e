"""How much of the server's memory a waiting job takes: a number and 200 bytes of text, sent as users do.

Ours is signed, as every job is. A second row has what travels with it where traces are on.
"""

from collections.abc import Callable

from benchmarks import server
from benchmarks.measurement import Measurement, Reading, Round, Target
from benchmarks.sides import TEXT, Ours, Side, only_ours, send_all

JOBS = 100_000
#: So that scripts are loaded and the connection's buffers are there.
WARM_UP = 2_000
#: As the telemetry middleware writes it: version, trace, span, flags.
TRACE = "00-{number:032x}-{number:016x}-01"


def measure(side: Side, turn: Round) -> Reading:
    """Bytes by the server's own account, over all jobs."""
    return _measured(side, turn, side.fill)


def measure_traced(side: Side, turn: Round) -> Reading:
    """The same of jobs with a traceparent."""
    ours = only_ours(side)
    if ours.app.broker.codec.seal is None:
        raise TypeError("ours has no key here, so nothing is signed")
    return _measured(side, turn, lambda jobs: _fill_traced(ours, jobs))


def _measured(side: Side, turn: Round, fill: Callable[[int], None]) -> Reading:
    jobs = turn.scaled(JOBS)
    side.clear()
    fill(turn.scaled(WARM_UP))
    side.clear()
    before = server.used_memory(side.server)
    fill(jobs)
    taken = server.used_memory(side.server) - before
    side.clear()
    return Reading(taken / jobs)


def _fill_traced(ours: Ours, jobs: int) -> None:
    send_all(
        ours.app.broker,
        (
            ours.noop.message_with_options(args=(number, TEXT), trace=TRACE.format(number=number))
            for number in range(1, jobs + 1)
        ),
    )


BYTES_PER_JOB = Measurement("bytes_per_job", "bytes", False, Target(most=600), measure, rounds=1)
BYTES_TRACED = Measurement(
    "bytes_per_job_traced",
    "bytes",
    False,
    Target(most=700),
    measure_traced,
    without_stock="stock neither signs nor traces; ours is signed and has a traceparent",
    rounds=1,
)
