"""What operators ask for, checked before anything is touched. Names are camelCase in JSON."""

from collections.abc import Generator, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic.alias_generators import to_camel

from jobs.errors import InvalidPayload
from jobs.ids import LONGEST_TENANT, check_tenant_id
from jobs.model import FIRST_PRIORITY, LAST_PRIORITY
from jobs.rules import Rate
from settings import parse_ms, parse_rate

MOST_IDS, LONGEST_REASON = 1_000, 500
LARGEST_CAP = 1_000_000
LARGEST_LIMIT_NUMBER = 100_000
LONGEST_PER_MS = 31 * 86_400_000
#: How many one call to a store touches, and one call of the API at most.
CHUNK, LARGEST_LIMIT = 1_000, 10_000
#: A long run: it yields how many jobs each chunk did. Closing it ends it there.
Chunks = Generator[int, None, None]


class Strict(BaseModel):
    """A request part that refuses unknown keys and takes no text for a number."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True
    )


def _a_tenant(value: str) -> str:
    try:
        return value and check_tenant_id(value)
    except InvalidPayload as error:
        raise ValueError(str(error)) from None


def _a_rate(value: str) -> str:
    parse_rate(value)
    return value


#: The empty text is the lane of the jobs that have no tenant.
Tenant = Annotated[
    str,
    Field(max_length=LONGEST_TENANT, description='"" means the jobs without a tenant'),
    AfterValidator(_a_tenant),
]
Limit = Annotated[int, Field(ge=1, le=LARGEST_LIMIT, description="how many at most in this call")]
Cap = Annotated[int, Field(ge=0, le=LARGEST_CAP, description="jobs at once over all workers; 0: no cap")]
RateText = Annotated[
    str,
    Field(
        max_length=64, description='starts over all workers, such as "10/s" or "100/min"; "none": no limit'
    ),
    AfterValidator(_a_rate),
]
Concurrency = Annotated[
    int, Field(ge=1, le=LARGEST_CAP, description="jobs at once in each worker process, up to its threads")
]
Priority = Annotated[int, Field(ge=FIRST_PRIORITY, le=LAST_PRIORITY, description="1 (first) to 10")]


class PriorityRequest(Strict):
    priority: Priority


class CancelRequest(Strict):
    reason: Annotated[str, Field(max_length=LONGEST_REASON, description="why, for a person")] = ""


class RetryJobRequest(Strict):
    from_start: bool = Field(False, description="run finished steps again too; finished effects stay done")


class CancelManyRequest(CancelRequest):
    ids: Annotated[list[str], Field(min_length=1, max_length=MOST_IDS)]


class PauseRequest(Strict):
    """Without `tenantId` the whole queue is meant."""

    tenant_id: Tenant | None = None


class TenantRequest(Strict):
    tenant_id: Tenant


class DrainRequest(Strict):
    delayed: bool = Field(True, description="also the jobs that wait for their time")
    limit: Limit = CHUNK


class CleanRequest(Strict):
    """Which jobs of one state go: the oldest first."""

    state: Literal["waiting", "delayed", "completed", "failed", "cancelled"]
    older_than_ms: Annotated[
        int, Field(ge=0, description="settled, waiting or made at least so long ago, in milliseconds")
    ] = 0
    keep: Annotated[int, Field(ge=0, description="so many of the newest stay")] = 0
    limit: Limit = CHUNK


class ObliterateRequest(Strict):
    confirm: str = Field(description="the queue's name once more")
    limit: Limit = CHUNK


class Changes(Strict):
    """Rules to change. What is left out stays; null lets a rule follow the settings again."""

    @model_validator(mode="after")
    def _something(self) -> "Changes":
        if not self.model_fields_set - {"tenant_id"}:
            names = [to_camel(name) for name in type(self).model_fields if name != "tenant_id"]
            raise ValueError(f"give at least one of {', '.join(names)}")
        return self

    def for_store(self) -> Mapping[str, object]:
        """The changes as `JobStore.adjust` takes them."""
        given = self.model_fields_set - {"tenant_id"}
        return {name: _store_value(getattr(self, name)) for name in sorted(given)}


class QueueChanges(Changes):
    priority: Priority | None = Field(None, description="among the queues of a process; 1 is first")
    cap: Cap | None = None
    rate: RateText | None = None
    lane_cap: Cap | None = Field(None, description="jobs of one tenant at once; 0: no cap")
    lane_rate: RateText | None = Field(None, description='starts of one tenant, such as "5/s"')
    gate_cap: Cap | None = Field(None, description="jobs of one gate of a tenant at once; 0: no cap")
    gate_rate: RateText | None = Field(None, description="starts of one gate of a tenant")
    concurrency: Concurrency | None = None
    worker_rate: RateText | None = Field(None, description="starts in each worker process")


class LaneChanges(Changes):
    weight: Annotated[float, Field(ge=0.001, le=1_000, strict=False)] | None = Field(
        None, description="share against other tenants; 1 is usual"
    )
    cap: Cap | None = None
    rate: RateText | None = None


def _a_span(value: int | str) -> int | str:
    if not 1 <= parse_ms(value) <= LONGEST_PER_MS:
        raise ValueError("must be a millisecond to 31 days")
    return value


Number = Annotated[int, Field(ge=1, le=LARGEST_LIMIT_NUMBER)]


class LimitChange(Changes):
    """Numbers of a limit, for all tenants or, with `tenantId`, for one."""

    tenant_id: Tenant | None = None
    limit: Number | None = Field(None, description="jobs at once, or so many a `per`")
    per: Annotated[int | str, AfterValidator(_a_span)] | None = Field(
        None, description='milliseconds, or text such as "1min"'
    )
    burst: Number | None = Field(None, description="at once, of token_bucket and gcra")

    def for_store(self) -> dict[str, Any]:
        """The changes as `JobStore.set_limit` takes them."""
        given = {name: getattr(self, name) for name in sorted(self.model_fields_set - {"tenant_id"})}
        if "per" in given:
            per = given.pop("per")
            given["per_ms"] = None if per is None else parse_ms(per)
        return given


class TenantChanges(LaneChanges):
    tenant_id: Tenant


class DeadLetterFilter(Strict):
    """Which dead letters: those that fit all that is given."""

    queue: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        None, description="the queue that the jobs ran in, or a dead-letter queue; left out: all queues"
    )
    name: str | None = Field(None, description="the actor")
    error_type: str | None = Field(None, description="such as LoginRefused")
    error_code: str | None = Field(None, max_length=64, description="such as timeout, exhausted or expired")
    fingerprint: str | None = Field(None, max_length=64, description="of one cause, as the groups show it")
    tenant_id: Tenant | None = None
    since: Annotated[AwareDatetime, Field(strict=False)] | None = Field(
        None, description="failed at that moment or later"
    )
    until: Annotated[AwareDatetime, Field(strict=False)] | None = Field(
        None, description="failed before that moment"
    )


class RetryRequest(DeadLetterFilter):
    """One call looks at up to `limit` dead letters. `next` of its answer is the next call's `after`."""

    dry_run: bool = Field(False, description="count only")
    limit: Annotated[int, Field(ge=1, le=LARGEST_LIMIT, description="dead letters to look at")] = CHUNK
    after: str | None = Field(None, max_length=2_048, description="`next` of the answer before")


class LettersRequest(DeadLetterFilter):
    """A page of dead letters to look at."""

    limit: Annotated[int, Field(ge=1, le=CHUNK, description="dead letters to look at")] = 100
    after: str | None = Field(None, max_length=2_048, description="`next` of the answer before")


class Changed(DeadLetterFilter):
    """Dead letters that run again, perhaps with other arguments."""

    patch: dict[str, Any] = Field(
        default_factory=dict,
        description="laid over the arguments by name as a JSON merge patch; null takes one away",
    )
    lift_times: bool = Field(False, description="without the jobs' deadline, expires and retry_for")


class ReplayRequest(Changed, RetryRequest):
    """One call looks at up to `limit` dead letters. `next` of its answer is the next call's `after`."""


class CanaryRequest(Changed):
    """One step of a replay by canary: `next` of its answer is the next call's `run`, with the same filter."""

    run: str | None = Field(None, max_length=100_000, description="`next` of the answer before; null: begin")
    go_on: bool = Field(
        False, description="do not stop at failures by another cause than before, only count them"
    )


class DiscardRequest(RetryRequest):
    """Dead letters that are removed."""

    reason: Annotated[str, Field(min_length=1, max_length=LONGEST_REASON, description="why, for a person")]


def _store_value(value: Any) -> object:
    if not isinstance(value, str):
        return value
    rate = parse_rate(value)
    return Rate(rate.count, rate.ms) if rate else 0


class AuditRange(Strict):
    """Which attempts a report is about, by when they ended. Each has a beginning of its own by default."""

    since: Annotated[AwareDatetime, Field(strict=False)] | None = None
    until: Annotated[AwareDatetime, Field(strict=False)] | None = Field(None, description="not included")
    tenant_id: Tenant | None = None
    queue: Annotated[str, Field(min_length=1, max_length=128)] | None = None


class AuditCleanRequest(Strict):
    older_than_days: Annotated[float, Field(ge=1, le=36_500, strict=False)] | None = Field(
        None, description="attempts stored longer ago; left out: as `audit.retention` says"
    )
    limit: Annotated[int, Field(ge=1, le=1_000_000, description="about how many rows at most")] = (
        LARGEST_LIMIT
    )
