"""How late a delayed job starts: jobs due in one to two seconds, on a worker that has nothing else to do,
while a million jobs wait for next week.
"""

import time

from benchmarks.measurement import Measurement, Reading, Round, Target, percentile
from benchmarks.probing import await_boot, await_stamp
from benchmarks.sides import TEXT, Ours, Side, only_ours
from benchmarks.stamps import Stamps
from benchmarks.workers import Workers
from broker.sent import new_id
from jobs.model import NewJob

JOBS = 300
DELAY_MS = (1_000, 2_000)
FAR = 1_000_000
WEEK_MS = 7 * 24 * 3_600_000


def measure(side: Side, turn: Round) -> Reading:
    """The 99th percentile, in milliseconds after the due time that the caller asked for."""
    ours = only_ours(side)
    draws = turn.draws()
    jobs = turn.scaled(JOBS)
    due = []
    ours.clear()
    _fill_next_week(ours, turn.scaled(FAR))
    with Stamps(turn.home / "stamps.sock") as stamps, Workers(side, 1, turn.home) as workers:
        await_boot(side, workers, stamps)
        for number in range(jobs):
            delay = draws.randint(*DELAY_MS)
            due.append(time.monotonic_ns() + delay * 1_000_000)
            side.stamp.send_with_options(args=(number, TEXT), delay=delay)
        started = {stamp.number: stamp.started for stamp in (await_stamp(workers, stamps) for _ in due)}
    lateness = [(started[number] - due[number]) / 1e6 for number in range(jobs)]
    return Reading(percentile(lateness, 99), {"median": percentile(lateness, 50)})


def _fill_next_week(ours: Ours, jobs: int) -> None:
    """Past the middleware, which has no part in what is measured here."""
    payload = ours.app.broker.codec.encode(ours.noop.message(0, TEXT))
    for start in range(0, jobs, 1_000):
        ours.app.store.enqueue(
            [
                NewJob(new_id(), ours.queue, ours.noop.actor_name, payload, delay_ms=WEEK_MS + number)
                for number in range(start, min(jobs, start + 1_000))
            ]
        )


DELAYED_LATENESS = Measurement(
    "delayed_lateness_p99",
    "ms",
    False,
    Target(under=50),
    measure,
    without_stock="stock's workers take delayed jobs into their own memory, and stop when that holds 1,000 × "
    "as many as they have threads",
    rounds=1,
)
