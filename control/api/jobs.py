"""Jobs over HTTP (S0, APIs). Endpoints are plain functions: FastAPI runs them on its threads."""

from fastapi import APIRouter, Response

from control.api.access import Jobs, bearer
from control.api.errors import documented
from control.service import JobView, NewJobRequest, ProgressView
from control.service.views import AttemptLogView, StepsView

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"], dependencies=[bearer])


@router.post(
    "",
    status_code=201,
    summary="Add a job",
    responses={
        201: {
            "description": "The job is accepted and safe.",
            "headers": {
                "Location": {"description": "where to see it", "schema": {"type": "string"}},
                "Callboard-Replaced": {
                    "description": "the job whose place it took (unique modes debounce and latest)",
                    "schema": {"type": "string"},
                },
            },
        },
        200: {"description": "A job with this id or unique key was there already.", "model": JobView},
        **documented(400, 401, 404, 409, 413, 415, 422, 500, 503),
    },
)
def add_job(body: NewJobRequest, jobs: Jobs, response: Response) -> JobView:
    """`data` holds the actor's arguments by name; camelCase is accepted.

    `queue` may be one of ours or a name that the requirement documents use; with `name` it may stand
    for several actors.
    """
    added = jobs.add(body)
    response.status_code = 201 if added.created else 200
    response.headers["Location"] = f"/api/v1/jobs/{added.job.id}"
    if added.replaced is not None:
        response.headers["Callboard-Replaced"] = added.replaced
    return added.job


@router.get("/{jobId}", summary="See a job", responses=documented(401, 404, 500, 503))
def get_job(jobId: str, jobs: Jobs) -> JobView:  # noqa: N803 - S0's own name
    """State, times, arguments, result or failure of one job."""
    return jobs.get(jobId)


@router.get("/{jobId}/progress", summary="See how far a job is", responses=documented(401, 404, 500, 503))
def get_progress(jobId: str, jobs: Jobs) -> ProgressView:  # noqa: N803
    """What the job last reported."""
    return jobs.progress(jobId)


@router.get("/{jobId}/logs", summary="See what a job logged", responses=documented(401, 404, 500, 503))
def get_logs(jobId: str, jobs: Jobs) -> list[AttemptLogView]:  # noqa: N803
    """The lines of its latest five attempts, of each the newest 64 KB."""
    return list(jobs.logs(jobId))


@router.get("/{jobId}/steps", summary="See the steps of a job", responses=documented(401, 404, 500, 503))
def get_steps(jobId: str, jobs: Jobs) -> StepsView:  # noqa: N803
    """What it keeps of its steps and effects, with their outcomes where the job is not private."""
    return jobs.steps(jobId)
