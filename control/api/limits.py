"""Limits that count while jobs run, over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query

from control.api.access import LimitVerbs, bearer
from control.api.errors import documented
from control.api.examples import shown
from control.service.limit_views import LimitsView
from control.service.requests import LimitChange, Tenant

router = APIRouter(prefix="/api/v1/limits", tags=["limits"], dependencies=[bearer])

READS = documented(401, 404, 422, 500, 503)
REFUSALS = documented(400, 401, 404, 413, 415, 422, 500, 503)
OfTenant = Annotated[Tenant | None, Query(description="only this tenant")]


@router.get("", summary="See the limits and how they stand", responses=READS)
def get_limits(verbs: LimitVerbs, tenantId: OfTenant = None) -> LimitsView:  # noqa: N803 - S0's own name
    """Each rule of the settings as it holds now, and each counter that is in use: used, left, reset,
    waiting."""
    return verbs.read(tenantId)


@router.get("/{limitName}", summary="See one limit", responses=READS)
def get_limit(limitName: str, verbs: LimitVerbs, tenantId: OfTenant = None) -> LimitsView:  # noqa: N803
    """As all of them."""
    return verbs.read(tenantId, limitName)


@router.put("/{limitName}", summary="Change a limit", responses=REFUSALS)
def change_limit(
    limitName: str,  # noqa: N803
    body: Annotated[
        LimitChange, shown("Five times a minute for acme", {"tenantId": "acme", "limit": 5, "per": "1min"})
    ],
    verbs: LimitVerbs,
) -> LimitsView:
    """For all, or for a tenant. What is left out stays, null follows the settings again. It holds at once,
    over all workers, and is kept; what waits looks again."""
    return verbs.change(limitName, body.tenant_id, body.for_store())


@router.delete("/{limitName}", summary="Let a limit follow the settings again", responses=READS)
def forget_changes(limitName: str, verbs: LimitVerbs, tenantId: OfTenant = None) -> LimitsView:  # noqa: N803
    """For all, or for a tenant."""
    return verbs.forget(limitName, tenantId)
