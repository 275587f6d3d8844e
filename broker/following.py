"""Jobs that are sent while the end of another one is decided: they go into its verdict.

What a middleware sends in `after_process_message` or `after_skip_message` (a pipeline's next job, a callback)
is accepted in the step in which the job is settled, and not at all when it was run elsewhere meanwhile.
"""

import hashlib
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.model import Accepted, NewJob, Verdict
from jobs.store import JobStore

if TYPE_CHECKING:
    from broker.proxy import JobProxy

#: The hooks, as Dramatiq's `emit_after` names them.
ENDS = frozenset({"process_message", "skip_message"})
#: What one verdict may carry: a script must not hold the server for long. What is more goes before it.
MOST_JOBS, MOST_BYTES = 100, 262_144


class Following(threading.local):
    """Of each thread: the job whose end is decided there."""

    proxy: "JobProxy | None" = None
    made = 0
    refused: BaseException | None = None  # why the last job that was made here could not be sent

    def begin(self, proxy: "JobProxy") -> None:
        self.proxy, self.made, self.refused = proxy, 0, None

    def end(self) -> None:
        self.proxy = self.refused = None

    def note_refused(self, error: BaseException) -> None:
        """A job that was made here could not be sent."""
        if self.proxy is not None:
            self.refused = error

    def take(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        """Keep jobs for the verdict. Whether one of the same id is there is found when that is stored."""
        assert self.proxy is not None
        self.proxy.follow = (*self.proxy.follow, *jobs)
        return [Accepted(job.id, True) for job in jobs]

    def new_id(self, proxy: "JobProxy", actor: str) -> str:
        """The id of the next job that is made here: the same again when the job has to be run again because
        its end could not be stored, and ends alike."""
        self.made += 1
        job = proxy.job
        return following_id(job.id, job.settled, f"{_outcome_of(proxy)}\x1f{actor}\x1f{self.made}")


def _outcome_of(proxy: "JobProxy") -> str:
    if proxy.verdict is not None:
        return proxy.verdict.outcome.value
    return "failed" if proxy.failed or proxy.exception is not None else "completed"


def following_id(job_id: str, settled: int, what: str) -> str:
    """An id for what follows from a job. `settled` tells apart how often it has ended, `what` its outcome and
    the jobs that follow."""
    return hashlib.sha256(f"{job_id}\x1f{settled}\x1f{what}".encode()).hexdigest()[:32]


following = Following()


def with_followers(proxy: "JobProxy", verdict: Verdict, store: JobStore) -> Verdict:
    """The verdict with the jobs that follow from it.

    Those of another shard, and those that are too many for one step, are accepted here. Raises what
    `store.enqueue` raises.
    """
    home = store.shard_of(proxy.queue_name)
    before, within, size = list[NewJob](), list[NewJob](), 0
    for job in reversed(proxy.follow):  # the last ones are within, so that the order stays
        size += len(job.payload)
        fits = len(within) < MOST_JOBS and size <= MOST_BYTES
        (within if fits and store.shard_of(job.queue) == home else before).append(job)
    if before:
        store.enqueue(before[::-1])
    return verdict._replace(follow=tuple(within[::-1]))
