"""What operators do to jobs, over HTTP."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter

from control.api.access import Jobs, JobVerbs, bearer
from control.api.errors import documented
from control.api.examples import shown
from control.service import JobAnswer, WhyView
from control.service.errors import NotPossible
from control.service.requests import CancelManyRequest, CancelRequest, PriorityRequest, RetryJobRequest
from jobs.errors import JobNotFound

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"], dependencies=[bearer])

ON_A_JOB = documented(401, 404, 409, 500, 503)
WITH_A_BODY = documented(400, 401, 404, 409, 413, 415, 422, 500, 503)


@router.get("/{jobId}/why", summary="See why a job waits", responses=documented(401, 404, 500, 503))
def why(jobId: str, jobs: Jobs) -> WhyView:  # noqa: N803 - S0's own name
    """What stands between the job and its start, in sentences: pauses, rests, limits, workers, the line."""
    return jobs.why(jobId)


@router.post("/{jobId}/promote", summary="Let a delayed job start now", responses=ON_A_JOB)
def promote(jobId: str, verbs: JobVerbs) -> JobAnswer:  # noqa: N803
    """Also a job that is held by itself."""
    return _one(verbs.promote([jobId]))


@router.put("/{jobId}/priority", summary="Change a job's priority", responses=WITH_A_BODY)
def set_priority(
    jobId: str,  # noqa: N803
    body: Annotated[PriorityRequest, shown("Let it go before the others", {"priority": 1})],
    verbs: JobVerbs,
) -> JobAnswer:
    """Of a job that has not started; it keeps its place among those of its new priority."""
    return _one(verbs.set_priority([jobId], body.priority))


@router.post("/{jobId}/cancel", summary="Cancel a job", responses=WITH_A_BODY)
def cancel(
    jobId: str,  # noqa: N803
    verbs: JobVerbs,
    body: Annotated[
        CancelRequest, shown("Say why", {"reason": "the customer withdrew it"})
    ] = CancelRequest(),  # noqa: B008
) -> JobAnswer:
    """At once when it has not started (`done`); of a job that runs the worker is told (`signalled`)."""
    return _one(verbs.cancel([jobId], body.reason))


@router.post(
    "/cancel", summary="Cancel several jobs", responses=documented(400, 401, 413, 415, 422, 500, 503)
)
def cancel_many(
    body: Annotated[
        CancelManyRequest,
        shown("Two jobs", {"ids": ["acme~invoice-7", "acme~invoice-8"], "reason": "sent twice"}),
    ],
    verbs: JobVerbs,
) -> list[JobAnswer]:
    """An answer for each id: `done`, `signalled`, `late` (it was settled before) or `unknown`."""
    return verbs.cancel(body.ids, body.reason)


@router.post("/{jobId}/retry", summary="Run a failed job again", responses=WITH_A_BODY)
def retry(
    jobId: str,  # noqa: N803
    verbs: JobVerbs,
    body: Annotated[
        RetryJobRequest, shown("Do finished steps again too", {"fromStart": True})
    ] = RetryJobRequest(),  # noqa: B008
) -> JobAnswer:
    """A dead letter, or a cancelled job; with all its attempts. Its finished steps stay done.

    For many see `/api/v1/dead-letters/retry`.
    """
    return _one(verbs.retry([jobId], from_start=body.from_start))


@router.delete("/{jobId}", summary="Remove a job", responses=ON_A_JOB)
def remove(jobId: str, verbs: JobVerbs) -> JobAnswer:  # noqa: N803
    """In any state but active. Its id stays known for a while."""
    return _one(verbs.remove([jobId]))


def _one(answers: Sequence[JobAnswer]) -> JobAnswer:
    (answer,) = answers
    if answer.outcome == "unknown":
        raise JobNotFound(answer.message)
    if not answer.done:
        raise NotPossible(answer.message)
    return answer
