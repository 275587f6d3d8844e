"""What an idle worker process of 40 queues asks of the server: commands of clients a second, and CPU.

Calls inside of scripts are not counted; commands that are sent in one packet count each, so there are at
most so many round trips.
"""

import time

from benchmarks import server
from benchmarks.measurement import Measurement, Reading, Round, Target
from benchmarks.probing import await_boot
from benchmarks.processes import cpu_s
from benchmarks.sides import Side
from benchmarks.stamps import Stamps
from benchmarks.workers import Workers

WINDOW_S = 20.0
#: After the first job, so that nothing of the start falls into the window.
SETTLE_S = 3.0


def measure(side: Side, turn: Round) -> Reading:
    """Commands a second. The server's CPU includes what counting them costs."""
    window = turn.scaled_s(WINDOW_S)
    side.clear()
    with (
        Stamps(turn.home / "stamps.sock") as stamps,
        Workers(side, 1, turn.home, module=side.idle_module) as workers,
    ):
        await_boot(side, workers, stamps)
        time.sleep(turn.scaled_s(SETTLE_S))
        before, worker_before = server.cpu_s(side.server), cpu_s(workers.pid)
        commands = server.client_commands(side.server, window)
        spent, by_worker = server.cpu_s(side.server) - before, cpu_s(workers.pid) - worker_before
    return Reading(
        len(commands) / window,
        {"server CPU ms/s": spent * 1e3 / window, "worker CPU ms/s": by_worker * 1e3 / window},
    )


IDLE_COMMANDS = Measurement("idle_commands_s", "1/s", False, Target(under=3), measure, rounds=1)
