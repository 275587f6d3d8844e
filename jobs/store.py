"""The port of the job store: every verb, one line each. Redis and memory pass one contract suite.

Each verb is atomic and idempotent: calling it again after a lost reply has the effect of one call.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence

from jobs.model import (
    Accepted,
    EventBatch,
    Fetched,
    FetchRequest,
    Job,
    NewJob,
    QueueStats,
    Retention,
    Settled,
    Verdict,
    WorkerInfo,
)
from jobs.states import JobState


class JobStore(ABC):
    # Producers

    @abstractmethod
    def enqueue(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        """Accept jobs, all in order. An id that is there, or was settled just now, is not added again."""

    # Workers

    @abstractmethod
    def fetch(self, request: FetchRequest) -> Fetched:
        """Promote what is due, then lease up to `credits` waiting jobs to `owner`; spends an attempt each."""

    @abstractmethod
    def settle(self, owner: str, verdicts: Sequence[Verdict]) -> list[Settled]:
        """Store how deliveries ended, with what follows from it and the event, in one step each."""

    def settle_and_fetch(
        self, verdicts: Sequence[Verdict], request: FetchRequest
    ) -> tuple[list[Settled], Fetched]:
        """Settle, then fetch. Stores over a network do both in one round trip."""
        return self.settle(request.owner, verdicts), self.fetch(request)

    @abstractmethod
    def owned(self, owner: str) -> dict[str, int]:
        """The ids and delivery tokens that the store says `owner` holds."""

    @abstractmethod
    def register(self, worker: WorkerInfo, lease_ms: int) -> None:
        """Enter a worker process into the registry and give it a lease."""

    @abstractmethod
    def renew(self, owner: str, lease_ms: int) -> bool:
        """Prolong the lease of all jobs of `owner`; False when it was reclaimed before."""

    @abstractmethod
    def reclaim(self, max_lost: int, limit: int = 100) -> int:
        """Give back jobs whose owner's lease ran out, at the head of their lane; returns how many."""

    @abstractmethod
    def leave(self, owner: str) -> None:
        """End a worker's lease on a clean stop: what it still holds is given back at once."""

    @abstractmethod
    def report_progress(self, updates: Mapping[str, bytes]) -> None:
        """Keep the latest progress of jobs, by id; ids that are gone are passed over."""

    # Wake-up

    @abstractmethod
    def wait_for_work(self, queues: Collection[str], timeout_ms: int) -> str | None:
        """Block until a queue of these has new work; its name, or None after the time-out."""

    @abstractmethod
    def wake(self, queues: Iterable[str]) -> int:
        """Wake one waiting worker for each queue, unless a wake-up lies there that nobody has taken;
        returns how many wake-ups were sent."""

    # Inspection

    @abstractmethod
    def get(self, job_id: str) -> Job | None:
        """One job, or None."""

    @abstractmethod
    def list_jobs(self, queue: str, state: JobState, limit: int = 50, offset: int = 0) -> list[Job]:
        """Jobs of one queue and state; waiting in running order, settled ones newest first."""

    @abstractmethod
    def stats(self, queues: Sequence[str]) -> list[QueueStats]:
        """Counts of each queue."""

    @abstractmethod
    def workers(self) -> list[WorkerInfo]:
        """The worker processes whose lease has not run out."""

    @abstractmethod
    def ping(self) -> None:
        """Raise StoreUnavailable with the reason unless the store answers."""

    # Retention

    @abstractmethod
    def trim(self, retention: Mapping[str, Retention], limit: int = 1000) -> int:
        """Remove settled jobs past their age, at most `limit`; returns how many."""

    @abstractmethod
    def flush(self, queue: str) -> int:
        """Remove every waiting and delayed job of a queue, in chunks; returns how many."""

    # Events

    @abstractmethod
    def read_events(self, reader: str, consumer: str, limit: int = 500, block_ms: int = 0) -> EventBatch:
        """Next events for `reader`; consumers share them. First those that a dead consumer left behind."""

    @abstractmethod
    def ack_events(self, reader: str, ids: Sequence[str]) -> None:
        """Mark events as dealt with; what every reader has dealt with is dropped."""

    @abstractmethod
    def close(self) -> None:
        """Let go of connections."""
