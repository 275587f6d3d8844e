"""Whether a step that knows no job is called beside one: in a thread of the actor's own, say.

Such a step could not be told from one outside of all jobs, and would run unprotected.
"""

import threading
from typing import ClassVar
from weakref import WeakSet

import dramatiq


class Watch:
    """Of one stack. `workers` are those of this process that it serves; where there is none, as in a test,
    `runs` are the threads in which a job runs at the moment."""

    _all: ClassVar["WeakSet[Watch]"] = WeakSet()

    def __init__(self) -> None:
        self.workers: set[dramatiq.Worker] = set()
        self.runs: set[int] = set()
        self._all.add(self)

    @classmethod
    def a_job_may_run(cls) -> bool:
        """Whether this process has a worker, or runs a job without one."""
        return any(one.workers or one.runs for one in list(cls._all))

    def begin(self) -> None:
        """A job begins in this thread."""
        self.runs.add(threading.get_ident())

    def end(self) -> None:
        """It has ended."""
        self.runs.discard(threading.get_ident())
