"""How long a job waits for its next start when its worker was killed in the middle of it; default settings.

Two workers of one process each. For the row the command, the worker and its lease helper die at once, as
when a host is lost; for the part `worker alone` only the worker process.
"""

import time

from benchmarks.measurement import Measurement, Reading, Round, Target
from benchmarks.probing import await_boot, await_stamp, await_stamp_until
from benchmarks.processes import family
from benchmarks.sides import TEXT, Ours, Side
from benchmarks.stamps import Stamps
from benchmarks.workers import Workers

#: Nobody waits longer for a job to start again.
BOUND_S, LEAST_BOUND_S = 60.0, 4.0
LEASE_S = 15.0
JOB = 0


def measure(side: Side, turn: Round) -> Reading:
    """Seconds after the loss of a host."""
    whole, in_time = _seconds(side, turn, whole=True)
    parts: dict[str, float] = {}
    if isinstance(side, Ours):  # stock has no helper that could outlive its worker
        parts["worker alone"], _ = _seconds(side, turn, whole=False)
    return Reading(whole, parts, at_least=not in_time)


def _seconds(side: Side, turn: Round, *, whole: bool) -> tuple[float, bool]:
    """From the kill to the next start, and whether there was one."""
    side.clear()
    # Only a smoke test has a shorter lease than the default one.
    shorter = {} if turn.scale >= 1 else {"CALLBOARD_WORKERS__LEASE_SECONDS": f"{turn.scaled_s(LEASE_S):.0f}"}
    with (
        Stamps(turn.home / "stamps.sock") as stamps,
        Workers(side, 1, turn.home, environment=shorter) as one,
        Workers(side, 1, turn.home, environment=shorter, name=f"{side.name}-other") as other,
    ):
        try:
            for workers in (one, other):
                await_boot(side, workers, stamps)
            side.hold.send(JOB, TEXT)
            running = await_stamp(one, stamps).pid
            in_one = running in {process.pid for process in family(one.pid)}
            victim, survivor = (one, other) if in_one else (other, one)
            killed = time.monotonic()
            if whole:
                victim.kill_all(running)
            else:
                victim.kill(running)
            bound = max(LEAST_BOUND_S, turn.scaled_s(BOUND_S))
            while (again := await_stamp_until(survivor, stamps, killed + bound)) and again.number != JOB:
                pass  # a late one of the start
        finally:
            stamps.release()  # or the job would hold up the worker's end
    return (bound, False) if again is None else (again.started / 1e9 - killed, True)


RECOVERY = Measurement("recovery_s", "s", False, Target(under=20), measure, rounds=1)
