"""A job on its way in, as API and CLI give it (S0, Job creation)."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, field_validator

from broker.options import LATEST_DUE_MS
from broker.options import LONGEST_MS as LONGEST_SPAN_MS
from control.service.requests import Strict
from jobs.errors import InvalidPayload
from jobs.ids import JOB_ID, LONGEST_GATE, LONGEST_TENANT, check_tenant_id

LONGEST_MS = 100 * 366 * 86_400_000
LONGEST_BACKOFF_MS = 10**11


class BackoffOption(Strict):
    type: Literal["exponential", "fixed", "linear"] = "exponential"
    delay: int = Field(ge=0, le=LONGEST_BACKOFF_MS, description="milliseconds before the second attempt")
    max: int | None = Field(None, ge=0, le=LONGEST_BACKOFF_MS, description="milliseconds at most")
    jitter: float | None = Field(None, ge=0, le=1, strict=False, description="the share that is random")


class UniqueOption(Strict):
    """What makes two jobs of a tenant and an actor the same; without `key` and `by` all arguments do."""

    key: str | None = Field(None, min_length=1, max_length=1_000)
    by: list[str] | None = Field(None, min_length=1, description="parameters whose values count")
    mode: Literal["until_started", "until_finished", "throttle", "debounce", "latest"] = "until_finished"
    ttl: int | None = Field(None, ge=1, le=LONGEST_MS, description="milliseconds after which it is forgotten")


class JobOptions(Strict):
    """Options of one job. What is left out follows the queue's policy."""

    priority: int | None = Field(None, ge=1, le=10, description="1 (first) to 10")
    delay: int | None = Field(None, ge=0, le=LONGEST_MS, description="milliseconds before the first start")
    runAt: Annotated[AwareDatetime, Field(strict=False)] | None = Field(  # noqa: N815
        None, description="start no sooner than then; wins over `delay`"
    )
    gate: str | None = Field(
        None,
        min_length=1,
        max_length=LONGEST_GATE,
        description="a resource of the tenant, such as gmail:a7",
    )
    unique: bool | UniqueOption | None = Field(None, description="true: all arguments make it the same job")
    attempts: int | None = Field(None, ge=1, le=1_000, description="executions at most")
    backoff: BackoffOption | None = None
    timeout: int | None = Field(None, ge=1, le=LONGEST_MS, description="milliseconds one attempt may take")
    retryFor: int | None = Field(  # noqa: N815
        None, ge=0, le=LONGEST_SPAN_MS, description="no retry starts later, in milliseconds; 0: no such limit"
    )
    deadline: int | None = Field(
        None, ge=0, le=LATEST_DUE_MS, description="milliseconds for the whole job, or a moment since 1970"
    )
    expires: int | None = Field(
        None, ge=0, le=LATEST_DUE_MS, description="it must have started by then; as `deadline`"
    )
    removeOnComplete: bool | int | None = Field(  # noqa: N815 - S0's own name
        None, description="true: remove at once; a number: keep that many completed jobs of the queue"
    )
    removeOnFail: bool | int | None = Field(  # noqa: N815
        None, description="false; failed jobs stay for their queue's retention"
    )
    jobId: str | None = Field(  # noqa: N815
        None,
        pattern=f"^{JOB_ID.pattern}$",
        description="makes adding idempotent: the same id twice is one job",
    )
    tenantId: str | None = Field(None, min_length=1, max_length=LONGEST_TENANT)  # noqa: N815
    userId: str | None = Field(None, min_length=1, max_length=128)  # noqa: N815

    @field_validator("removeOnFail")
    @classmethod
    def _failed_jobs_stay(cls, wanted: bool | int | None) -> bool | int | None:
        if wanted is None or wanted is False:
            return wanted
        raise ValueError("removing failed jobs is not there yet; leave it out, or give false")

    @field_validator("tenantId")
    @classmethod
    def _a_tenant_id(cls, tenant: str | None) -> str | None:
        try:
            return None if tenant is None else check_tenant_id(tenant)
        except InvalidPayload as error:
            raise ValueError(str(error)) from None


class NewJobRequest(Strict):
    """A job to add. `queue` may be one of ours or a name that the documents use."""

    queue: str | None = Field(None, min_length=1, max_length=128)
    name: str | None = Field(None, min_length=1, max_length=128, description="the actor or job name")
    data: dict[str, Any] = Field(default_factory=dict, description="the actor's arguments by name")
    options: JobOptions = JobOptions()
