"""What a queue's policy means for the flow of a job. Made from the settings by the composition root."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from jobs.backoff import Backoff
from jobs.model import DEFAULT_ATTEMPTS, DEFAULT_PRIORITY, GIVEN_ID_MARKER_MS, Retention


class Rate(NamedTuple):
    """At most `count` starts in any stretch of `per_ms` milliseconds, over all workers."""

    count: int  # type: ignore[assignment]  # a tuple's own `count` is of no use here
    per_ms: int


@dataclass(frozen=True, slots=True)
class QueueRules:
    """Defaults are those of an actor without a policy (CATALOGUE section 2).

    The workers read `concurrency` and what follows a run; the store is told the rest by `configure`.
    """

    concurrency: int = 5  # jobs at once in one worker process, over the queues of `share` together
    global_concurrency: int | None = None  # over all workers, likewise; None: no cap
    rate: Rate | None = None  # over all workers, likewise
    share: str = ""  # queues of one name share these three numbers
    priority: int = DEFAULT_PRIORITY  # of its jobs, and of the queue among the queues of a process
    priority_scope: Literal["queue", "lane"] = "queue"  # bands before tenants, or tenants before bands
    fairness: Literal["jobs", "time"] = "jobs"  # what a job costs its lane: 1, or its usual run time
    lane_concurrency: int | None = None  # of one tenant, over all workers
    lane_rate: Rate | None = None
    gate_concurrency: int | None = None  # of one gate of one tenant; a gate named `one:…` has 1
    gate_rate: Rate | None = None
    attempts: int = DEFAULT_ATTEMPTS
    backoff: Backoff = field(default_factory=Backoff)
    timeout_ms: int = 300_000
    keep_completed: int | None = 1_000
    retention: Retention = field(default_factory=Retention)
    dead_letter: str = "dead-letter"
    id_memory_ms: int = GIVEN_ID_MARKER_MS  # how long a caller's id is known after its job has left
    require_tenant: bool = False  # jobs without a tenant are refused at send
    encryption: bool | None = None  # of payloads; None: where a parameter is marked Secret or PII


RulesOf = Callable[[str], QueueRules]


def same_rules_for_all(queue: str) -> QueueRules:
    return QueueRules()
