"""The attempts of a job over HTTP."""

from fastapi import APIRouter

from control.api.access import Histories, bearer
from control.api.errors import documented
from control.service import HistoryView

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"], dependencies=[bearer])


@router.get(
    "/{jobId}/attempts", summary="See all attempts of a job", responses=documented(401, 404, 500, 503)
)
def attempts(jobId: str, histories: Histories) -> HistoryView:  # noqa: N803 - S0's own name
    """Times, worker, outcome and failure of each. While the database is away the last failure alone."""
    return histories.attempts(jobId)
