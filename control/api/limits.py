"""Limits that count while jobs run, over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query

from control.api.access import LimitVerbs, bearer
from control.api.errors import documented
from control.api.examples import shown
from control.service.limit_actions import MOST_SHOWN, SHOWN
from control.service.limit_views import LimitsView
from control.service.requests import LimitChange, Tenant

router = APIRouter(prefix="/api/v1/limits", tags=["limits"], dependencies=[bearer])

READS = documented(400, 401, 404, 422, 500, 503)
REFUSALS = documented(400, 401, 404, 413, 415, 422, 500, 503)
Most = Annotated[int, Query(ge=1, le=MOST_SHOWN, description="how many counters")]
After = Annotated[str | None, Query(max_length=2_048, description="`next` of the answer before")]
OfTenant = Annotated[Tenant | None, Query(description="only this tenant")]


@router.get("", summary="See the limits and how they stand", responses=READS)
def get_limits(
    verbs: LimitVerbs,
    tenantId: OfTenant = None,  # noqa: N803 - S0's own name
    limit: Most = SHOWN,
    after: After = None,
) -> LimitsView:
    """Each rule as it holds now, with the rates of providers and of queues for each resource, and up to
    `limit` of the counters that are in use: used, left, reset, waiting. Give `next` as `after` to go on."""
    return verbs.read(tenantId, None, limit, after)


@router.get("/{limitName}", summary="See one limit", responses=READS)
def get_limit(
    limitName: str,  # noqa: N803
    verbs: LimitVerbs,
    tenantId: OfTenant = None,  # noqa: N803
    limit: Most = SHOWN,
    after: After = None,
) -> LimitsView:
    """As all of them."""
    return verbs.read(tenantId, limitName, limit, after)


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
