"""Where a run begins and ends, for all that asks which run it is in. No middleware can be left out for it."""

import threading
from typing import TYPE_CHECKING

from jobs.running import running

if TYPE_CHECKING:
    from broker.proxy import JobProxy


def begin(run: "JobProxy") -> None:
    """From here on this thread is in the run, and what it starts with its context."""
    outer = running.get()
    if outer is not None:  # a job that is run where another one sent it, in a test
        run.outer = outer
    running.set(run)


def actor_has_ended(run: "JobProxy") -> None:
    """Wait for what the actor has left behind in threads and tasks and what must not outlive the run."""
    run.over = threading.get_ident()
    if run.under_way is not None:
        run.under_way.wait(run)


def end(run: "JobProxy") -> None:
    """This thread is where it was before the run."""
    running.set(run.outer)
