"""Jobs: add, get, list, follow."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import dramatiq
from pydantic import BaseModel, ConfigDict, Field, field_validator

from control.service.names import find_actor, find_queues, python_names
from control.service.reading import job_view, progress_view
from control.service.views import JobView, ProgressView
from jobs.errors import InvalidPayload, JobIdTaken, JobNotFound
from jobs.ids import JOB_ID, LONGEST_TENANT, check_job_id, check_tenant_id
from jobs.model import DEFAULT_ATTEMPTS, DEFAULT_PRIORITY, Job
from jobs.states import JobState

if TYPE_CHECKING:
    from actors.composition import App


LIST_LIMIT = 1_000
LOOK_EVERY = 0.2  # seconds: progress is visible within 200 ms (CATALOGUE section 1)
LONGEST_MS = 100 * 366 * 86_400_000


class Strict(BaseModel):
    """A request part that refuses unknown keys and takes no text for a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class BackoffOption(Strict):
    type: Literal["exponential", "fixed", "linear"] = "exponential"
    delay: int = Field(ge=0, le=LONGEST_MS, description="milliseconds before the second attempt")


class JobOptions(Strict):
    """S0 JobOptions. What is left out follows the queue's policy."""

    priority: int | None = Field(None, ge=1, le=10, description="1 (first) to 10")
    delay: int | None = Field(None, ge=0, le=LONGEST_MS, description="milliseconds before the first start")
    attempts: int | None = Field(None, ge=1, le=1_000, description="executions at most")
    backoff: BackoffOption | None = None
    timeout: int | None = Field(None, ge=1, le=LONGEST_MS, description="milliseconds one attempt may take")
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
    """S0 Job creation. `queue` may be one of ours or a name that the documents use."""

    queue: str | None = Field(None, min_length=1, max_length=128)
    name: str | None = Field(None, min_length=1, max_length=128, description="the actor or job name")
    data: dict[str, Any] = Field(default_factory=dict, description="the actor's arguments by name")
    options: JobOptions = JobOptions()


class JobService:
    """What can be done with jobs, over whatever store the app has."""

    def __init__(self, app: "App") -> None:
        self._app = app

    def add(self, request: NewJobRequest) -> tuple[JobView, bool]:
        """Accept a job. Returns it, and False when a job with its id is, or was just now, there.

        Raises UnknownActor, UnknownQueue, InvalidPayload, JobIdTaken, PayloadTooLarge, StoreUnavailable,
        StoreFull.
        """
        app, options = self._app, request.options
        actor = find_actor(app, request.queue, request.name)
        kwargs = app.validate(actor.actor_name, python_names(app.schema(actor.actor_name), request.data))
        if options.jobId is not None and (held := app.broker.store.get(options.jobId)) is not None:
            _refuse_of_another(held, actor, options)
            return job_view(app, held), False
        message = actor.send_with_options(kwargs=kwargs, delay=options.delay, **_send_options(options))
        job = app.broker.store.get(message.message_id)
        if job is not None:
            _refuse_of_another(job, actor, options)  # which may have come in between
        # Nothing there: a quick worker has finished and removed it, or an id of the caller's was
        # settled and removed before and is remembered, so that it does not run again.
        created = job is not None or options.jobId is None
        return job_view(app, job or _as_accepted(message), message), created

    def get(self, job_id: str) -> JobView:
        """One job. Raises JobNotFound."""
        return job_view(self._app, self._stored(job_id))

    def progress(self, job_id: str) -> ProgressView:
        """How far a job is. Raises JobNotFound."""
        return progress_view(self._stored(job_id))

    def list(self, queue: str, state: JobState, limit: int = 50, offset: int = 0) -> list[JobView]:
        """Jobs of a queue (or of every queue behind a document's name) in one state.

        Raises UnknownQueue, and ValueError for a limit beyond 1,000.
        """
        if not 1 <= limit <= LIST_LIMIT or offset < 0:
            raise ValueError(f"the limit must be 1 to {LIST_LIMIT:,} and the offset 0 or more")
        store, found = self._app.broker.store, []
        for name in find_queues(self._app, queue):
            found += store.list_jobs(name, state, offset + limit)
        return [job_view(self._app, job) for job in found[offset : offset + limit]]

    def watch(
        self, job_id: str, pause: Callable[[float], None] = time.sleep, every: float = LOOK_EVERY
    ) -> Iterator[tuple[JobView, ProgressView]]:
        """The job now, then again after each change, until it settles. Raises JobNotFound.

        `every` is in seconds. A job that retention removes while it is watched ends the watch with
        JobNotFound.
        """
        last: tuple[JobView, ProgressView] | None = None
        while True:
            job = self._stored(job_id)
            now = job_view(self._app, job), progress_view(job)
            if now != last:
                yield now
            if job.state.settled:
                return
            last = now
            pause(every)

    def _stored(self, job_id: str) -> Job:
        try:
            check_job_id(job_id)
        except InvalidPayload as error:
            raise JobNotFound(f"there is no job {job_id[:128]!r}: {error}") from None
        job = self._app.broker.store.get(job_id)
        if job is None:
            raise JobNotFound(
                f"there is no job {job_id!r}: it was never accepted, or its retention has ended"
            )
        return job


def _refuse_of_another(job: Job, actor: "dramatiq.Actor[..., Any]", options: JobOptions) -> None:
    """An id that someone else's job has must not show that job."""
    tenant = options.tenantId or actor.options.get("tenant_id") or ""
    if (job.actor, job.lane) != (actor.actor_name, tenant):
        raise JobIdTaken(f"job_id {job.id!r} is taken by another job; choose another id.")


def _send_options(options: JobOptions) -> Mapping[str, Any]:
    """The options in the names that `send_with_options` takes; what was not given is left out."""
    given = {
        "priority": options.priority,
        "attempts": options.attempts,
        "backoff": options.backoff.model_dump() if options.backoff else None,
        "time_limit": options.timeout,
        "remove_on_complete": options.removeOnComplete,
        "job_id": options.jobId,
        "tenant_id": options.tenantId,
        "user_id": options.userId,
    }
    return {name: value for name, value in given.items() if value is not None}


def _as_accepted(message: dramatiq.Message[Any]) -> Job:
    options = message.options
    return Job(
        id=message.message_id,
        queue=message.queue_name,
        actor=message.actor_name,
        lane=options.get("tenant_id") or "",
        state=JobState.WAITING,
        priority=options.get("priority") or DEFAULT_PRIORITY,
        attempts=0,
        max_attempts=options.get("attempts") or DEFAULT_ATTEMPTS,
        deliveries=0,
        lost_leases=0,
        interruptions=0,
        created_at=message.message_timestamp,
        due_at=None,
        ready_at=None,
        started_at=None,
        finished_at=None,
        owner=None,
        dead_letter=None,
        payload=b"",
        record=None,
        progress=None,
    )
