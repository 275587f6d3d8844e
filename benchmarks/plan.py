"""Which rows are measured, and by which durability of the server."""

from collections.abc import Collection

from benchmarks.backlog_drain import BACKLOG_DRAIN
from benchmarks.bytes_per_job import BYTES_PER_JOB, BYTES_TRACED
from benchmarks.cpu_per_job import CPU_PER_JOB
from benchmarks.delayed_lateness import DELAYED_LATENESS
from benchmarks.drain import DRAIN_1P, DRAIN_2P
from benchmarks.fairness import FAIRNESS
from benchmarks.idle_commands import IDLE_COMMANDS
from benchmarks.idle_pickup import IDLE_PICKUP
from benchmarks.measurement import Measurement
from benchmarks.recovery import RECOVERY
from benchmarks.schedules import SCHEDULES_LATE_START, SCHEDULES_LATENESS, SCHEDULES_START
from benchmarks.send_many import SEND_MANY
from benchmarks.single_enqueue import SINGLE_ENQUEUE
from benchmarks.statistics_time import STATISTICS

#: Those that write the most, and so are measured with an append-only file as well.
WRITING = (SINGLE_ENQUEUE, SEND_MANY, DRAIN_1P, DRAIN_2P)
MEASUREMENTS = (
    *WRITING,
    CPU_PER_JOB,
    IDLE_PICKUP,
    IDLE_COMMANDS,
    DELAYED_LATENESS,
    BACKLOG_DRAIN,
    BYTES_PER_JOB,
    BYTES_TRACED,
    RECOVERY,
    FAIRNESS,
    STATISTICS,
    SCHEDULES_START,
    SCHEDULES_LATE_START,
    SCHEDULES_LATENESS,
)
#: The costs of the middleware, a table of their own: `benchmarks.middleware_cost`.
COSTS = "middleware_cost"
NAMES = (*(row.name for row in MEASUREMENTS), COSTS)

Table = tuple[str, list[Measurement]]


def plan(only: Collection[str], durability: str | None) -> list[Table]:
    """The tables to make, each with its durability.

    All rows without persistence and then the writing ones with AOF; the named rows, without persistence
    unless `durability` says otherwise; or one of the two tables.
    """
    if only:
        rows = [row for row in MEASUREMENTS if row.name in only]
        return [(durability or "none", rows)] if rows else []
    tables: list[Table] = [("none", list(MEASUREMENTS)), ("everysec", list(WRITING))]
    return [table for table in tables if durability in (None, table[0])]


def with_costs(only: Collection[str], durability: str | None) -> bool:
    """Whether the costs of the middleware are measured too; they have nothing to do with durability."""
    return COSTS in only if only else durability in (None, "none")
