"""What a queue promises: how many at once, how fast, how often, for how long (CATALOGUE sections 1 and 2)."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from settings.units import Milliseconds, OptionalCount, OptionalMilliseconds, OptionalRate, Whole

BackoffType = Literal["exponential", "fixed", "linear"]

#: A job that is sent again because the answer was lost must still be known.
SHORTEST_ID_MEMORY_MS = 120_000


class Section(BaseModel):
    """A frozen part of the settings that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Backoff(Section):
    """The wait before the next attempt: `delay_ms` doubles, repeats or adds up, to at most `max_ms`.

    `jitter` (0 to 1) is the share of the wait that is random.
    """

    type: BackoffType = "exponential"
    delay_ms: Milliseconds = 1_000
    max_ms: Milliseconds = 3_600_000
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.0


class Retention(Section):
    """How long settled jobs stay in Redis, by age and by count in each queue (`none` for no count).

    The newest stay. A failed job goes only when its audit row is stored.
    """

    completed_count: OptionalCount = 1_000
    completed_age_ms: Milliseconds = 24 * 3_600_000
    failed_count: OptionalCount = None
    failed_age_ms: Milliseconds = 7 * 24 * 3_600_000


class ResultPolicy(Section):
    """What is kept of a result: whether, up to how many bytes, and how long (0: as long as the job)."""

    store: bool = True
    max_bytes: Annotated[Whole, Field(ge=1)] = 102_400
    ttl_ms: Milliseconds = 0


class QueuePolicy(Section):
    """The policy of one queue. The defaults here are those of a user's own actor (CATALOGUE section 2).

    - `concurrency` is per worker process, `global_concurrency` over all of them (None: no cap).
    - `rate` holds over all workers, `per_worker_rate` for each process (S1 FR-046), and
      `per_resource_rate` for each provider or host that a job names while it runs.
    - Queues with the same `share` name count their concurrency and rate together.
    - `tenant_concurrency` and `tenant_rate` hold for each tenant over all workers, `gate_concurrency` and
      `gate_rate` for each gate of a tenant. A tenant over them rests; the others go on.
    - `priority` is that of the queue's jobs without one, and of the queue among those of a worker.
    - `priority_scope` "queue": a job of a lower number goes before those of all tenants; "lane": tenants
      take turns, and the number orders the jobs of each.
    - `fairness` is what a job costs its tenant: "jobs" 1, "time" its usual run time.
    - `attempts` counts executions: 3 runs at most three times.
    - `retry_for_ms`: no retry starts later than so long after the job may start first (None: no such limit).
    - `id_memory_ms` is how long an id that a caller gave is known after its job has left Redis.
    - `group` is the worker group that WORKER_TYPE selects.
    - `require_tenant` refuses jobs without a tenant at send.
    - `encryption` true encrypts arguments, options, results, progress and logs; false only signs; None: an
      actor with parameters marked Secret or PII is encrypted, others are signed.
    - `payload_blob` lets a payload over the limit go to the blob store.
    """

    concurrency: Annotated[Whole, Field(ge=1)] = 5
    global_concurrency: OptionalCount = None
    rate: OptionalRate = None
    per_worker_rate: OptionalRate = None
    per_resource_rate: OptionalRate = None
    share: str | None = None
    tenant_concurrency: OptionalCount = None
    tenant_rate: OptionalRate = None
    gate_concurrency: OptionalCount = None
    gate_rate: OptionalRate = None
    attempts: Annotated[Whole, Field(ge=1)] = 3
    backoff: Backoff = Backoff()
    retry_for_ms: OptionalMilliseconds = None
    timeout_ms: Annotated[Milliseconds, Field(ge=1)] = 300_000
    priority: Annotated[Whole, Field(ge=1, le=10)] = 5
    priority_scope: Literal["queue", "lane"] = "queue"
    fairness: Literal["jobs", "time"] = "jobs"
    group: Annotated[str, Field(min_length=1)] = "primary"
    retention: Retention = Retention()
    results: ResultPolicy = ResultPolicy()
    id_memory_ms: Annotated[Milliseconds, Field(ge=SHORTEST_ID_MEMORY_MS)] = 7 * 24 * 3_600_000
    dead_letter: Annotated[str, Field(min_length=1)] = "dead-letter"
    require_tenant: bool = False
    encryption: bool | None = None
    payload_blob: bool = False

    @model_validator(mode="before")
    @classmethod
    def _share_none(cls, data: object) -> object:
        # TOML has no null, and a row of the catalogue may have to be left alone.
        if isinstance(data, dict) and data.get("share") == "none":
            return {**data, "share": None}
        return data

    @property
    def effective_global_concurrency(self) -> int | None:
        """The cap over all workers: a queue with concurrency 1 is serial everywhere (S2 acceptance)."""
        return 1 if self.concurrency == 1 else self.global_concurrency
