"""What any worker process does now and then for all: reclaim lost leases, remove what is too old."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from jobs.model import Outcome, Retention, Verdict, WorkerInfo
from jobs.store import JobStore

logger = logging.getLogger(__name__)

RECLAIM_EVERY_S = 2.0
REGISTER_EVERY_S = 15.0
TRIM_EVERY_S = 30.0
CHUNK = 100
TRIM_CHUNK, TRIM_ROUNDS = 1_000, 50


@dataclass(slots=True)
class Chores:
    """Called with a monotonic time between rounds of the exchange; returns when to call again."""

    store: JobStore
    worker: Callable[[], WorkerInfo]
    held: Callable[[], dict[str, int]]
    retention: Callable[[], dict[str, Retention]]
    lease_ms: int
    max_lost: int
    _due: dict[str, float] = field(default_factory=dict)

    def __call__(self, now: float) -> float:
        # The registry first: whatever comes after may need a lease.
        for name, every, chore in (
            ("register", REGISTER_EVERY_S, self._register),
            ("reclaim", RECLAIM_EVERY_S, self._reclaim),
            ("trim", TRIM_EVERY_S, self._trim),
        ):
            if now >= self._due.get(name, 0.0):
                chore()
                self._due[name] = now + every
        return min(self._due.values())

    def _register(self) -> None:
        worker = self.worker()
        self.store.register(worker, self.lease_ms)
        # What the server thinks we have but we do not: the reply of a fetch was lost for good.
        held = self.held()
        strays = {i: token for i, token in self.store.owned(worker.owner).items() if held.get(i) != token}
        if strays:
            verdicts = [Verdict(job_id, token, Outcome.RETURNED) for job_id, token in strays.items()]
            self.store.settle(worker.owner, verdicts)
            logger.info("Gave back %d jobs that never arrived here.", len(strays))

    def _reclaim(self) -> None:
        total = 0
        while count := self.store.reclaim(self.max_lost, CHUNK):
            total += count
        if total:
            logger.warning("Took back %d jobs of workers that died.", total)

    def _trim(self) -> None:
        # Retention must keep up with the fastest queue, but not hold the exchange for long.
        for _ in range(TRIM_ROUNDS):
            if self.store.trim(self.retention(), TRIM_CHUNK) < TRIM_CHUNK:
                return
