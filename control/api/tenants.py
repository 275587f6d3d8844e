"""What operators do to a tenant in all queues, over HTTP. Its name is in the body: it may hold a slash."""

from typing import Annotated

from fastapi import APIRouter

from control.api.access import Rules, RuleVerbs, bearer
from control.api.errors import documented
from control.api.examples import shown
from control.service import Paused, RulesView
from control.service.requests import TenantChanges, TenantRequest

router = APIRouter(prefix="/api/v1/tenants", tags=["tenants"], dependencies=[bearer])

REFUSALS = documented(400, 401, 413, 415, 422, 500, 503)
A_TENANT = {"tenantId": "acme"}


@router.post("/pause", summary="Pause a tenant everywhere", responses=REFUSALS)
def pause(body: Annotated[TenantRequest, shown("A tenant", A_TENANT)], verbs: RuleVerbs) -> Paused:
    """Nothing more of it is started in any queue; what runs goes on."""
    return verbs.pause_tenant(body.tenant_id)


@router.post("/resume", summary="Resume a tenant everywhere", responses=REFUSALS)
def resume(body: Annotated[TenantRequest, shown("A tenant", A_TENANT)], verbs: RuleVerbs) -> Paused:
    """Also in queues where it was paused alone; a queue that is paused itself stays so."""
    return verbs.resume_tenant(body.tenant_id)


@router.patch("/limits", summary="Change a tenant's limits everywhere", responses=REFUSALS)
def change_limits(
    body: Annotated[TenantChanges, shown("Half of the usual share", {**A_TENANT, "weight": 0.5})],
    verbs: RuleVerbs,
    rules: Rules,
) -> list[RulesView]:
    """In every queue; caps and rates count in each queue by itself."""
    return [rules.of_lane(queue, body.tenant_id) for queue in verbs.change_tenant(body.tenant_id, body)]
