"""Dead letters over HTTP: look, group, run again, discard."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime

from control.api.access import Canaries, Letters, LetterViews, Replays, bearer
from control.api.errors import documented
from control.api.examples import shown
from control.service import CanaryView, GroupsView, LettersView, Replayed, Retried
from control.service.edits import Edit
from control.service.requests import (
    CHUNK,
    CanaryRequest,
    DeadLetterFilter,
    DiscardRequest,
    ReplayRequest,
    RetryRequest,
    Tenant,
)

router = APIRouter(prefix="/api/v1/dead-letters", tags=["jobs"], dependencies=[bearer])

LOOKED = documented(400, 401, 404, 422, 500, 503)
DONE = documented(400, 401, 404, 413, 415, 422, 500, 503)
LOGINS = {
    "queue": "email-sync",
    "errorType": "LoginRefused",
    "since": "2026-03-01T08:00:00Z",
    "dryRun": True,
}
CAUSE = {"fingerprint": "5f2b9c1d7a3e4b60"}


def _filter(
    queue: Annotated[str | None, Query(min_length=1, max_length=128)] = None,
    name: Annotated[str | None, Query(description="the actor")] = None,
    errorType: Annotated[str | None, Query()] = None,  # noqa: N803 - camelCase as everywhere
    errorCode: Annotated[str | None, Query(max_length=64)] = None,  # noqa: N803
    fingerprint: Annotated[str | None, Query(max_length=64)] = None,
    tenantId: Annotated[Tenant | None, Query(description='"": jobs without one')] = None,  # noqa: N803
    since: Annotated[AwareDatetime | None, Query(description="failed then or later")] = None,
    until: Annotated[AwareDatetime | None, Query(description="failed before then")] = None,
) -> DeadLetterFilter:
    return DeadLetterFilter(
        queue=queue,
        name=name,
        error_type=errorType,
        error_code=errorCode,
        fingerprint=fingerprint,
        tenant_id=tenantId,
        since=since,
        until=until,
    )


Wanted = Annotated[DeadLetterFilter, Depends(_filter)]


@router.get("", summary="See dead letters", responses=LOOKED)
def letters(
    wanted: Wanted,
    views: LetterViews,
    limit: Annotated[int, Query(ge=1, le=CHUNK, description="dead letters to look at")] = 100,
    after: Annotated[str | None, Query(max_length=2_048, description="`next` of the answer before")] = None,
) -> LettersView:
    """Those that fit all that is given, the oldest of each queue first. For one with its payload and all its
    attempts see `/api/v1/jobs/{jobId}` and `/api/v1/jobs/{jobId}/attempts`."""
    return views.page(wanted, limit, after)


@router.get("/groups", summary="See dead letters by cause", responses=LOOKED)
def groups(wanted: Wanted, views: LetterViews) -> GroupsView:
    """Grouped by fingerprint, the most frequent first."""
    return views.groups(wanted)


@router.post("/retry", summary="Run failed jobs again", responses=DONE)
def retry(body: Annotated[RetryRequest, shown("Count first", LOGINS)], letters: Letters) -> Retried:
    """Those that fit all that is given; `dryRun` only counts them.

    One call looks at up to `limit` dead letters. Give its `next` as `after` to go on, until it is null: jobs
    that fail anew meanwhile are not taken twice.
    """
    return letters.retry_page(body)


@router.post("/replay", summary="Run dead letters again, changed if asked", responses=DONE)
def replay(
    body: Annotated[ReplayRequest, shown("Another account", {**CAUSE, "patch": {"account_id": "a2"}})],
    replays: Replays,
) -> Replayed:
    """As `retry`, and `patch` is laid over the arguments of each job first. What does not fit the actor's
    contract then stays as it is and is told in `refused`."""
    return replays.replay_page(body)


@router.post("/canary", summary="Run dead letters again, first one, then ten, then all", responses=DONE)
def canary(body: Annotated[CanaryRequest, shown("One cause", CAUSE)], canaries: Canaries) -> CanaryView:
    """One step. While its `state` is `waiting`, call again after a moment with its `next` as `run`.

    It stops when a job fails as it had before, and unless `goOn` also when one of the first eleven fails by
    another cause, or later more fail than complete. A run that is not called any more does nothing more.
    """
    edit = Edit(patch=body.patch, lift_times=body.lift_times)
    return canaries.step(body, edit, body.run, go_on=body.go_on)


@router.post("/discard", summary="Remove dead letters", responses=DONE)
def discard(
    body: Annotated[DiscardRequest, shown("Say why", {**CAUSE, "reason": "test orders of March"})],
    replays: Replays,
) -> Replayed:
    """Those that fit all that is given, with a reason that is kept in the audit."""
    return replays.discard_page(body)
