"""Cached results, over HTTP."""

from typing import TYPE_CHECKING, Annotated, cast

from fastapi import APIRouter, Depends, Request

from control.api.access import CALLER, bearer
from control.api.errors import documented
from control.api.examples import shown
from control.service.outcomes import CacheActions, CacheRequest, Cleared

if TYPE_CHECKING:
    from actors.composition import App

router = APIRouter(prefix="/api/v1/cache", tags=["jobs"], dependencies=[bearer])

REFUSALS = documented(400, 401, 404, 413, 415, 422, 500, 503)
OF_ACME = {"actor": "report_generate", "tenantId": "acme"}


def _actions(request: Request) -> CacheActions:
    return CacheActions(cast("App", request.app.state.app), CALLER)


@router.post("/clear", summary="Forget cached results", responses=REFUSALS)
def clear(
    body: Annotated[CacheRequest, shown("Of one tenant", OF_ACME)],
    actions: Annotated[CacheActions, Depends(_actions)],
) -> Cleared:
    """Of an actor, and of one tenant if it is given: the next of these jobs run."""
    return actions.clear(body)
