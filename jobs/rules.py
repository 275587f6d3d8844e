"""What a queue's policy means for the flow of a job. Made from the settings by the composition root."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from jobs.backoff import Backoff
from jobs.letters import Ended, LetterRule, route
from jobs.model import DEFAULT_ATTEMPTS, DEFAULT_PRIORITY, GIVEN_ID_MARKER_MS, Retention


class Rate(NamedTuple):
    """At most `count` starts in any stretch of `per_ms` milliseconds, over all workers."""

    count: int  # type: ignore[assignment]  # a tuple's own `count` is of no use here
    per_ms: int


@dataclass(frozen=True, slots=True)
class QueueRules:
    """Defaults are those of an actor without a policy (CATALOGUE section 2).

    The workers read `concurrency`, `worker_rate` and what follows a run; the store is told the rest by
    `configure`.
    """

    concurrency: int = 5  # jobs at once in one worker process, over the queues of `share` together
    worker_rate: Rate | None = None  # starts in one worker process, likewise
    global_concurrency: int | None = None  # over all workers, likewise; None: no cap
    rate: Rate | None = None  # over all workers, likewise
    share: str = ""  # queues of one name share these four numbers
    priority: int = DEFAULT_PRIORITY  # of its jobs, and of the queue among the queues of a process
    priority_scope: Literal["queue", "lane"] = "queue"  # bands before tenants, or tenants before bands
    fairness: Literal["jobs", "time"] = "jobs"  # what a job costs its lane: 1, or its usual run time
    lane_concurrency: int | None = None  # of one tenant, over all workers
    lane_rate: Rate | None = None
    gate_concurrency: int | None = None  # of one gate of one tenant; a gate named `one:…` has 1
    gate_rate: Rate | None = None
    attempts: int = DEFAULT_ATTEMPTS
    backoff: Backoff = field(default_factory=Backoff)
    retry_for_ms: int | None = None  # no retry starts later than so long after the job may start first
    timeout_ms: int = 300_000
    keep_completed: int | None = 1_000
    store_results: bool = True
    result_bytes: int = 102_400  # a longer result is not kept; the job is completed all the same
    result_ms: int = 0  # how long a result is kept; 0: as long as its job
    retention: Retention = field(default_factory=Retention)
    dead_letter: str = "dead-letter"
    letters: tuple[LetterRule, ...] = ()  # which job that failed for good goes elsewhere instead
    id_memory_ms: int = GIVEN_ID_MARKER_MS  # how long a caller's id is known after its job has left
    require_tenant: bool = False  # jobs without a tenant are refused at send
    payload_blob: bool = False  # arguments that are too large go to the blob store
    encryption: bool | None = None  # of payloads; None: where a parameter is marked Secret or PII

    def dead_letter_of(self, ended: Ended) -> str:
        """The dead-letter queue of a job that failed for good."""
        return route(self.letters, ended, self.dead_letter) if self.letters else self.dead_letter


def numbers_of(rules: QueueRules, adjusted: Mapping[str, object]) -> tuple[int, Rate | None]:
    """How many jobs of a queue a process may run at once, and at what rate it may start them, with what was
    adjusted."""
    concurrency = adjusted.get("concurrency", rules.concurrency)
    rate = adjusted.get("worker_rate", rules.worker_rate)
    assert isinstance(concurrency, int)
    return concurrency, rate if isinstance(rate, Rate) else None  # 0 was adjusted to "none"


RulesOf = Callable[[str], QueueRules]


def same_rules_for_all(queue: str) -> QueueRules:
    return QueueRules()
