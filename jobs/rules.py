"""What a queue's policy means for the flow of a job. Made from the settings by the composition root."""

from collections.abc import Callable
from dataclasses import dataclass, field

from jobs.backoff import Backoff
from jobs.model import DEFAULT_ATTEMPTS, DEFAULT_PRIORITY, Retention


@dataclass(frozen=True, slots=True)
class QueueRules:
    """Defaults are those of an actor without a policy (CATALOGUE section 2)."""

    concurrency: int = 5  # jobs at once in one worker process
    global_concurrency: int | None = None  # over all workers; None: no cap
    priority: int = DEFAULT_PRIORITY
    attempts: int = DEFAULT_ATTEMPTS
    backoff: Backoff = field(default_factory=Backoff)
    timeout_ms: int = 300_000
    keep_completed: int | None = 1_000
    retention: Retention = field(default_factory=Retention)
    dead_letter: str = "dead-letter"


RulesOf = Callable[[str], QueueRules]


def same_rules_for_all(queue: str) -> QueueRules:
    return QueueRules()
