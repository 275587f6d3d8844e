"""Queues over HTTP (S0, APIs)."""

from typing import Annotated

from fastapi import APIRouter, Query

from control.api.access import Queues, bearer
from control.api.errors import documented
from control.service import LaneView, QueueMetrics, QueuesHealth
from control.service.queues import LANE_LIMIT
from control.service.requests import Tenant
from jobs.errors import StoreUnavailable

router = APIRouter(prefix="/api/v1/queues", tags=["queues"], dependencies=[bearer])


@router.get("", summary="See all queues", responses=documented(401, 500, 503))
def list_queues(queues: Queues) -> list[QueueMetrics]:
    """Counts and rates of every queue of this installation."""
    return queues.all_metrics()


@router.get("/health", summary="See whether all is well", responses=documented(401, 500, 503))
def get_health(queues: Queues) -> QueuesHealth:
    """The store's connectivity, the workers' heartbeat and each queue's condition with its reasons."""
    health = queues.health()
    if not health.store.connected:
        raise StoreUnavailable(health.store.message or "the job store is away")
    return health


@router.get("/{queueName}/metrics", summary="See a queue's counts", responses=documented(401, 404, 500, 503))
def get_metrics(queueName: str, queues: Queues) -> QueueMetrics:  # noqa: N803 - S0's own name
    """Counts of one queue; a document's name (`email`, `WORKFLOW`) gives the sum over its queues."""
    return queues.metrics(queueName)


@router.get(
    "/{queueName}/lanes", summary="See the tenants in a queue", responses=documented(401, 404, 422, 500, 503)
)
def get_lanes(
    queueName: str,  # noqa: N803
    queues: Queues,
    tenantId: Annotated[list[Tenant] | None, Query(description="only these tenants")] = None,  # noqa: N803
    limit: Annotated[int, Query(ge=1, le=LANE_LIMIT)] = 100,
) -> list[LaneView]:
    """Counts of each tenant's lane. Without names of up to `limit` tenants that have work, and of those that
    are paused or have limits of their own."""
    return queues.lanes(queueName, tenantId, limit)
