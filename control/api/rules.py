"""Limits of queues and of tenants in them, over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query

from control.api.access import Rules, RuleVerbs, bearer
from control.api.errors import documented
from control.api.examples import shown
from control.service import RulesView
from control.service.requests import QueueChanges, Tenant, TenantChanges

router = APIRouter(prefix="/api/v1/queues/{queueName}", tags=["limits"], dependencies=[bearer])

REFUSALS = documented(400, 401, 404, 413, 415, 422, 500, 503)
SLOWER = {"cap": 5, "rate": "10/s", "concurrency": 2, "laneCap": None}
MORE = {"tenantId": "acme", "weight": 2, "cap": 10}


@router.get("/limits", summary="See a queue's limits", responses=documented(401, 404, 422, 500, 503))
def get_limits(
    queueName: str,  # noqa: N803 - S0's own name
    rules: Rules,
    tenantId: Annotated[Tenant | None, Query(description="its limits in the queue")] = None,  # noqa: N803
) -> RulesView:
    """As they hold now, each with where it comes from: the settings, or whoever adjusted it and when."""
    return rules.of_queue(queueName) if tenantId is None else rules.of_lane(queueName, tenantId)


@router.patch("/limits", summary="Change a queue's limits", responses=REFUSALS)
def change_limits(
    queueName: str,  # noqa: N803
    body: Annotated[QueueChanges, shown("Slower, and tenants as in the settings", SLOWER)],
    verbs: RuleVerbs,
    rules: Rules,
) -> RulesView:
    """What is left out stays, null follows the settings again, a cap of 0 and a rate of "none" lift it.

    It holds at once, over all workers, and is kept. `concurrency` and `workerRate` are of each worker
    process, which hears of them within some seconds.
    """
    return rules.of_queue(verbs.change_queue(queueName, body))


@router.patch("/lanes/limits", summary="Change a tenant's limits in a queue", responses=REFUSALS)
def change_lane_limits(
    queueName: str,  # noqa: N803
    body: Annotated[TenantChanges, shown("Twice the usual share, 10 at once", MORE)],
    verbs: RuleVerbs,
    rules: Rules,
) -> RulesView:
    """As for a queue. A tenant of weight 2 gets twice the starts of one of weight 1 while both have jobs."""
    return rules.of_lane(verbs.change_lane(queueName, body.tenant_id, body), body.tenant_id)
