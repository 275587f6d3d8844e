"""What any worker does now and then: say that it is there, reclaim lost leases, remove what is old."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from jobs.model import Outcome, Retention, Verdict, WorkerInfo
from jobs.rules import QueueRules
from jobs.store import JobStore

logger = logging.getLogger(__name__)

REGISTER_EVERY_S = 15.0
RECLAIM_EVERY_S = 2.0
#: What was adjusted of a process's own numbers holds so soon, in seconds.
RULES_EVERY_S = 3.0
TRIM_EVERY_S = 30.0
READERS_EVERY_S = 300.0
#: Until the store was away, or has lost its data.
ONCE_S = 10.0**9
CHUNK = 100
#: Retention must keep up with the fastest queue, but nothing else of this shard moves meanwhile: a chunk is
#: some milliseconds, and where there is more the next one follows after so many seconds.
TRIM_CHUNK, TRIM_AGAIN_S = 1_000, 0.1

Configuration = tuple[Mapping[str, QueueRules], Mapping[str, float]]


@dataclass(slots=True)
class Chores:
    """The chores of one shard. Called with a monotonic time between rounds of its exchange; returns when to
    call again.

    `worker` describes the process, `held` and `keep_only` are of its holdings, `cancel` ends a job that it
    has. `configuration` is the rules of queues and the weights of tenants; `adjusted` is told what was
    adjusted of the numbers that a process keeps for itself, of `queues`; `readers` names the readers of the
    event stream that this release has.
    """

    store: JobStore
    worker: Callable[[], WorkerInfo]
    held: Callable[[], dict[str, int]]
    retention: Callable[[], dict[str, Retention]]
    lease_ms: int
    max_lost: int
    keep_only: Callable[[Mapping[str, int]], int] = lambda owned: 0
    cancel: Callable[[str], None] = lambda job_id: None
    configuration: Callable[[], Configuration] | None = None
    queues: Callable[[], Sequence[str]] = tuple
    adjusted: Callable[[Mapping[str, Mapping[str, object]]], None] = lambda adjusted: None
    readers: Collection[str] | None = None
    _due: dict[str, float] = field(default_factory=dict)
    _store_was_away: bool = False
    _more_to_trim: bool = False

    def __call__(self, now: float) -> float:
        if self._store_was_away:
            self._store_was_away = False
            self._due.pop("register", None)
            self._due.pop("configure", None)
        # The registry first: whatever comes after may need a lease.
        for name, every, chore in (
            ("register", REGISTER_EVERY_S, self._register),
            ("configure", ONCE_S, self._configure),
            ("rules", RULES_EVERY_S, self._read_rules),
            ("reclaim", RECLAIM_EVERY_S, self._reclaim),
            ("trim", TRIM_EVERY_S, self._trim),
            ("readers", READERS_EVERY_S, self._keep_readers),
        ):
            if now >= self._due.get(name, 0.0):
                chore()
                self._due[name] = now + every
        if self._more_to_trim:
            self._due["trim"] = min(self._due["trim"], now + TRIM_AGAIN_S)
        return min(self._due.values())

    def outage(self) -> None:
        """The store was away: it may have forgotten the lease, and all rules."""
        self._store_was_away = True

    def _register(self) -> None:
        worker = self.worker()
        if not self.store.register(worker, self.lease_ms):
            self._due.pop("configure", None)  # it has lost its data, or is new
        owned, held = self.store.owned(worker.owner), self.held()
        # What the server thinks we have but we do not: the reply of a fetch was lost for good.
        strays = {job_id: token for job_id, token in owned.items() if held.get(job_id) != token}
        if strays:
            verdicts = [Verdict(job_id, token, Outcome.RETURNED) for job_id, token in strays.items()]
            self.store.settle(worker.owner, verdicts)
            logger.info("Gave back %d jobs that never arrived here.", len(strays))
        if lost := self.keep_only(owned):
            logger.warning("Let go of %d unstarted jobs: their lease had been lost.", lost)
        for job_id in self.store.cancels(worker.owner):
            self.cancel(job_id)

    def _configure(self) -> None:
        if self.configuration is not None:
            self.store.configure(*self.configuration())

    def _read_rules(self) -> None:
        if queues := self.queues():
            self.adjusted(self.store.process_rules(queues))

    def _reclaim(self) -> None:
        total = 0
        while count := self.store.reclaim(self.max_lost, CHUNK):
            total += count
        if total:
            logger.warning("Took back %d jobs of workers that died.", total)

    def _trim(self) -> None:
        self._more_to_trim = self.store.trim(self.retention(), TRIM_CHUNK) == TRIM_CHUNK

    def _keep_readers(self) -> None:
        """A reader that was configured away must not hold the stream for ever."""
        if self.readers is None:
            return
        of_workers = [worker.readers for worker in self.store.workers()]
        if None not in of_workers:  # an older release does not say what it reads
            self.store.keep_readers(set(self.readers).union(*(names or () for names in of_workers)))
