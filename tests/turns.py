"""How `make test` parts the tests between its three processes: file by file, and some files together.

One process runs all that measures time or loads the machine, one file after the other, so that no two of
these tests harm each other. One runs the faults, which mostly wait. The third one runs everything else, in
which the other two join when they have done.
"""

from xdist.scheduler import LoadFileScheduling

#: Folders and files that belong together.
TOGETHER = {
    "one at a time": (
        "tests/benchmarks/",
        "tests/broker/test_cancelling.py",
        "tests/broker/test_shards.py",
        "tests/broker/test_wakeup.py",
        "tests/control/test_supervisor.py",
        "tests/control/test_up.py",
        "tests/demo/",
        "tests/middleware/test_cancellation.py",
        "tests/middleware/test_limits_on_workers.py",
        "tests/middleware/test_progress_writes.py",
        "tests/topologies/test_partitions.py",
        "tests/topologies/test_sentinel.py",
    ),
    "faults": (
        "tests/faults/",
        "tests/topologies/test_oldest_redis.py",
        "tests/middleware/test_stuck_jobs.py",
        "tests/middleware/test_steps_after_a_kill.py",
    ),
    "one PostgreSQL": ("tests/database/",),
}


class Turns(LoadFileScheduling):
    """The scheduler that pytest-xdist is given."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def unit_of(test: str) -> str:
    """Tests of which this is the same are run by one process, one after the other."""
    for name, places in TOGETHER.items():
        if test.startswith(places):
            return name
    return test.partition("::")[0]
