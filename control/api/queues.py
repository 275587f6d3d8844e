"""Queues over HTTP (S0, APIs)."""

from fastapi import APIRouter

from control.api.access import Queues, bearer
from control.api.errors import documented
from control.service import QueueMetrics, QueuesHealth
from jobs.errors import StoreUnavailable

router = APIRouter(prefix="/api/v1/queues", tags=["queues"], dependencies=[bearer])


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
