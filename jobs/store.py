"""The port of the job store: every verb, one line each. Redis and memory pass one contract suite.

Each verb is atomic and idempotent: calling it again after a lost reply has the effect of one call. (For
`retry_dead` that takes its `ended_by`.) The answers of producers' and workers' verbs are the same again too;
operators' verbs answer the second time what they find then: a job that the first call cancelled or removed
is LATE, UNKNOWN or False. Verbs that take any number of jobs work in steps, each atomic by itself; those
with a `limit` say how many they did, and are called until that is 0.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from jobs.limits import BreakerTerms, Grant, LimitRule, LimitState, News, ProviderState, Want
from jobs.model import (
    Accepted,
    AttemptLog,
    Cancelled,
    EventBatch,
    Fetched,
    FetchRequest,
    Job,
    LaneStats,
    LogChunk,
    NewJob,
    QueueStats,
    Retention,
    Scope,
    Settled,
    Standing,
    Verdict,
    WorkerInfo,
)
from jobs.rules import QueueRules
from jobs.states import JobState


class JobStore(ABC):
    # Shards

    @property
    def shards(self) -> "Mapping[str, JobStore]":
        """The parts that are atomic in themselves, by name. A store that is not split is its only shard."""
        return {"main": self}

    def shard_of(self, queue: str) -> str:
        """The shard a queue is in."""
        return "main"

    # Producers

    @abstractmethod
    def enqueue(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        """Accept jobs, all in order. An id that is there, or has left not long ago, is not added again."""

    # Workers

    @abstractmethod
    def fetch(self, request: FetchRequest) -> Fetched:
        """Lease waiting jobs that may run to `owner`, in the order of the rules; spends an attempt each."""

    @abstractmethod
    def settle(self, owner: str, verdicts: Sequence[Verdict]) -> list[Settled]:
        """Store how deliveries ended, with the jobs that follow from it and the event, in one step each.

        A verdict that is refused or repeated has nothing follow. `follow` holds jobs of the job's own shard;
        a store of several shards adds those of others just before: at least once, and once by their ids.
        """

    def settle_and_fetch(
        self, verdicts: Sequence[Verdict], request: FetchRequest
    ) -> tuple[list[Settled], Fetched]:
        """Settle, then fetch. Stores over a network do both in one round trip."""
        return self.settle(request.owner, verdicts), self.fetch(request)

    @abstractmethod
    def open_group(self, group: str, size: int, ttl_ms: int) -> bool:
        """Begin to count completed members of a group, for so long; False when it was begun before."""

    @abstractmethod
    def arrive(self, group: str, job_id: str) -> bool:
        """A member is completed; each counts once. True for the one that made the group complete, also when
        it comes again."""

    @abstractmethod
    def cached(self, queue: str, key: str) -> bytes | None:
        """The result that a verdict of a job of this queue left under this key, until its time is over."""

    @abstractmethod
    def clear_cache(self, prefix: str, limit: int = 1000) -> int:
        """Forget cached results whose keys begin so, at most `limit`; returns how many."""

    @abstractmethod
    def owned(self, owner: str) -> dict[str, int]:
        """The ids and delivery tokens that the store says `owner` holds."""

    @abstractmethod
    def register(self, worker: WorkerInfo, lease_ms: int) -> bool:
        """Enter a worker process into the registry and give it a lease. False when the store does not know
        the settings' rules, being new or having lost its data: `configure` it."""

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
    def report_progress(self, owner: str, updates: Mapping[str, tuple[int, bytes]]) -> None:
        """Keep the latest progress by job id; each comes with its delivery token, and what `owner` does not
        hold under that token any more is passed over."""

    @abstractmethod
    def save_step(
        self, owner: str, job_id: str, token: int, name: str, outcome: bytes, *, lasting: bool = False
    ) -> bool:
        """Keep what a running job notes under a name, in place of what was there, until the job leaves the
        store; False when `owner` does not hold this delivery any more. `lasting`: also in a run from the
        start.
        """

    @abstractmethod
    def steps(self, job_id: str) -> dict[str, bytes]:
        """What a job has noted, in the order of the names' first use."""

    @abstractmethod
    def add_log(self, owner: str, chunks: Sequence[LogChunk]) -> None:
        """Add lines to the logs of deliveries of `owner`, also of those that have just ended. The newest
        LOG_BYTES of each of the last LOG_ATTEMPTS attempts stay; what belongs to no such delivery is passed
        over."""

    @abstractmethod
    def logs(self, job_id: str) -> list[AttemptLog]:
        """What a job logged, attempt by attempt."""

    # Wake-up

    @abstractmethod
    def wait_for_work(self, queues: Collection[str], timeout_ms: int) -> str | None:
        """Block until a queue of these has new work; its name, or None after the time-out."""

    @abstractmethod
    def offer(self, queues: Iterable[str]) -> int:
        """Wake one waiting worker for each queue, unless a wake-up lies there that nobody has taken;
        returns how many wake-ups were sent."""

    @abstractmethod
    def listen(self, heard: Callable[[str], None], joined: Callable[[], None], timeout_ms: int) -> None:
        """Wait up to `timeout_ms` for jobs that shall be cancelled and call `heard` with each id. `joined`
        is called when listening begins anew: what was said before may have been missed."""

    @abstractmethod
    def cancels(self, owner: str) -> list[str]:
        """The jobs that `owner` holds and that somebody wants cancelled."""

    # Limits that count while jobs run

    @abstractmethod
    def acquire(
        self,
        owner: str,
        job_id: str,
        token: int,
        wants: Sequence[Want],
        *,
        queue: str,
        request: int = 0,
        patience_ms: int = 0,
    ) -> Grant:
        """Take all that a delivery wants of limits, or nothing. `request` numbers what one delivery asks
        for, rising and one at a time (a repeated number takes nothing twice, a late one nothing at all):
        0 is before its run, and is put back when the job is held or handed back unstarted. Permits end
        with the delivery. A job that is refused and then held waits, by itself or with its scope, until it
        is its turn.

        `patience_ms` is how long the caller would rather wait than have the job held: it may be given what
        will be there by then (`Grant.after_ms`). Where permits are short, the call may last up to 0.1 s,
        until one is handed over."""

    @abstractmethod
    def give_back(self, job_id: str, token: int, request: int, *, queue: str) -> None:
        """End the permits of one request before the delivery ends. What a rate counted stays counted."""

    @abstractmethod
    def set_limit(self, rule: str, tenant: str | None, changes: Mapping[str, int | None]) -> None:
        """Change `limit`, `per_ms` or `burst` of a rule, for all or for a tenant, until it is None again;
        what waits for it looks again at once. Raises InvalidAdjustment for any other name."""

    @abstractmethod
    def limit_changes(self) -> dict[tuple[str, str | None], dict[str, int]]:
        """All that was changed, by rule and tenant (None: for all)."""

    @abstractmethod
    def limit_states(
        self,
        rules: Sequence[LimitRule],
        tenant: str | None = None,
        limit: int = 1000,
        after: tuple[str, str, str] | None = None,
    ) -> list[LimitState]:
        """The counters of these rules that are in use, of all tenants or of one, by rule, whose they are
        and tenant; those behind `after`, which is these three."""

    @abstractmethod
    def provider_news(
        self,
        name: str,
        news: News,
        terms: BreakerTerms,
        *,
        queue: str,
        wait_ms: int = 0,
        probe: bool = False,
    ) -> ProviderState:
        """Note how a run with this provider ended; how its breaker stands then. While that is half-open only
        the `probe` is asked."""

    @abstractmethod
    def reset_provider(self, name: str) -> None:
        """Close a provider's breaker and give it its whole rate; what waits for it goes on."""

    @abstractmethod
    def provider_states(self, names: Sequence[str]) -> list[ProviderState]:
        """How the breakers of these providers stand."""

    # Rules

    @abstractmethod
    def configure(self, rules: Mapping[str, QueueRules], weights: Mapping[str, float]) -> None:
        """The settings' rules of queues and weights of tenants (all others: 1). Adjustments stay."""

    @abstractmethod
    def adjust(self, scope: Scope, changes: Mapping[str, object]) -> None:
        """Change rules while running; an adjustment wins over the settings and holds until it is None again.

        A queue has `paused`, `priority`, `cap`, `rate`, `lane_cap`, `lane_rate`, `gate_cap`, `gate_rate`,
        and of each worker process `concurrency`, `worker_rate`; a lane `paused`, `weight`, `cap`, `rate`.
        Caps are whole numbers, rates a `Rate`; 0 is "no limit" for either. What may run by the new rules is
        woken at once. Raises InvalidAdjustment for any other name.
        """

    @abstractmethod
    def process_rules(self, queues: Sequence[str]) -> dict[str, dict[str, object]]:
        """What was adjusted of the numbers that each worker process keeps for itself, of these queues:
        workers ask every few seconds."""

    @abstractmethod
    def adjustments(self) -> dict[Scope, dict[str, object]]:
        """All that was adjusted."""

    @abstractmethod
    def rest(self, scope: Scope, for_ms: int, reason: str) -> None:
        """Start nothing of a scope for so long; a longer rest stays as it is."""

    @abstractmethod
    def wake(self, scope: Scope) -> None:
        """End the rest of a scope now."""

    # Operators

    @abstractmethod
    def promote(self, job_ids: Sequence[str]) -> list[bool]:
        """Let delayed jobs, and jobs held by themselves, run now; False for those that are not."""

    @abstractmethod
    def set_priority(self, job_ids: Sequence[str], priority: int) -> list[bool]:
        """Change the priority of waiting and delayed jobs; False for the others. Raises InvalidAdjustment for
        a priority that there is not."""

    @abstractmethod
    def cancel(self, job_ids: Sequence[str], reason: str = "") -> list[Cancelled]:
        """Cancel jobs: at once what has not started; of what runs the worker is told."""

    @abstractmethod
    def remove(self, job_ids: Sequence[str], ended_by: int | None = None) -> list[bool]:
        """Remove jobs in any state but active; False for active and unknown ones. With `ended_by` only those
        that had ended by then (ms on the store's clock): not what was started again meanwhile."""

    @abstractmethod
    def withdraw(self, job_ids: Sequence[str]) -> list[bool]:
        """Take back jobs that no worker was ever given, as if they had not been sent: the same ids can be
        sent again at once, and their unique keys are free. False for all others."""

    @abstractmethod
    def retry_dead(
        self, job_ids: Sequence[str], ended_by: int | None = None, *, from_start: bool = False
    ) -> list[bool]:
        """Run failed and cancelled jobs again, with all their attempts; False for the others.

        False too for those that ended after `ended_by` (ms on the store's clock, None: now): whoever repeats
        a call with the time it saw first does not run again what has failed once more since. And False when
        another job holds the unique name now; else the job holds it again, for what is left of its time.
        What it noted as steps stays; `from_start` forgets that, but for what is lasting.
        """

    @abstractmethod
    def replace_payload(self, job_id: str, expected: bytes, payload: bytes) -> bool:
        """Put another payload in the place of `expected`, in any state; False when that is not there (any
        more). A delivery that runs goes on with what it has."""

    @abstractmethod
    def drain(self, queue: str, *, delayed: bool = True, limit: int = 1000) -> int:
        """Remove waiting (and delayed) jobs of a queue, at most `limit`; returns how many."""

    @abstractmethod
    def clean(
        self, queue: str, state: JobState, older_than_ms: int = 0, keep: int = 0, limit: int = 1000
    ) -> int:
        """Remove jobs of one state, at most `limit`; returns how many.

        Of settled jobs those that ended before `older_than_ms` ago, the oldest first; of waiting ones those
        that have waited so long, of delayed ones those made so long ago, both in the order of `list_jobs`.
        The newest `keep` stay (of waiting jobs those with the latest places, which takes a look at all of
        them), and so does a dead letter whose event a reader has not dealt with. Active ones are refused
        with IllegalTransition.
        """

    @abstractmethod
    def obliterate(self, queue: str, limit: int = 1000) -> int:
        """Remove all jobs of a queue but what runs and dead letters whose event a reader has not dealt with,
        at most `limit`; returns how many. When no job is left its counters, rests and adjustments go too."""

    # Inspection

    @abstractmethod
    def get(self, job_id: str) -> Job | None:
        """One job, or None."""

    @abstractmethod
    def standing(self, job_id: str) -> Standing | None:
        """What stands between a job and its start."""

    @abstractmethod
    def list_jobs(self, queue: str, state: JobState, limit: int = 50, offset: int = 0) -> list[Job]:
        """Jobs of one queue and state; waiting by band, lane and place, settled ones newest first."""

    @abstractmethod
    def scan(
        self, queue: str, state: JobState, limit: int = 100, after: str = "", *, routed: bool = False
    ) -> tuple[list[Job], str | None]:
        """Page through jobs of one queue and state, oldest first, and where to go on (None: it was the last
        page). `routed`, with FAILED: jobs of any queue that were routed to this dead-letter queue."""

    @abstractmethod
    def scan_all(self, limit: int = 100, after: str = "") -> tuple[list[Job], str | None]:
        """Page through the jobs of all queues and states, in no order, and where to go on (None: it was the
        last page). A job that is there from the first page to the last is met, whatever becomes of it
        meanwhile; it may be met twice, and a page may have more than `limit` jobs."""

    @abstractmethod
    def stats(self, queues: Sequence[str]) -> list[QueueStats]:
        """Counts of each queue."""

    @abstractmethod
    def lanes(self, queue: str, lanes: Sequence[str] | None = None, limit: int = 100) -> list[LaneStats]:
        """Counts of these lanes of a queue; without names of up to `limit` lanes that have work."""

    @abstractmethod
    def workers(self) -> list[WorkerInfo]:
        """The worker processes whose lease has not run out."""

    @abstractmethod
    def ping(self) -> None:
        """Raise StoreUnavailable with the reason unless the store answers."""

    # Retention

    @abstractmethod
    def trim(self, retention: Mapping[str, Retention], limit: int = 1000) -> int:
        """Remove settled jobs past their age or count, at most `limit`; returns how many. A dead letter
        stays until every reader has dealt with its event. Events that nobody reads go after a minute."""

    # Events

    @abstractmethod
    def read_events(self, reader: str, consumer: str, limit: int = 500, block_ms: int = 0) -> EventBatch:
        """About `limit` next events for `reader`; consumers share them. First those that a dead one left."""

    @abstractmethod
    def ack_events(self, reader: str, ids: Sequence[str]) -> None:
        """Mark a batch as dealt with, whole; what every reader has dealt with is dropped."""

    @abstractmethod
    def keep_readers(self, readers: Collection[str]) -> None:
        """Forget readers that are not among these, and what was kept for them."""

    @abstractmethod
    def close(self) -> None:
        """Let go of connections."""
