"""Dead letters over HTTP."""

from typing import Annotated

from fastapi import APIRouter

from control.api.access import Letters, bearer
from control.api.errors import documented
from control.api.examples import shown
from control.service import Retried
from control.service.requests import RetryRequest

router = APIRouter(prefix="/api/v1/dead-letters", tags=["jobs"], dependencies=[bearer])

LOGINS = {
    "queue": "email-sync",
    "errorType": "LoginRefused",
    "since": "2026-03-01T08:00:00Z",
    "dryRun": True,
}


@router.post(
    "/retry",
    summary="Run failed jobs again",
    responses=documented(400, 401, 404, 413, 415, 422, 500, 503),
)
def retry(body: Annotated[RetryRequest, shown("Count first", LOGINS)], letters: Letters) -> Retried:
    """Those that fit all that is given; `dryRun` only counts them.

    One call looks at up to `limit` dead letters. Give its `next` as `after` to go on, until it is null: jobs
    that fail anew meanwhile are not taken twice.
    """
    return letters.retry_page(body)
