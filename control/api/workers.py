"""Worker processes over HTTP."""

from fastapi import APIRouter

from control.api.access import Workers, bearer
from control.api.errors import documented
from control.service import WorkerDetail, WorkerView

router = APIRouter(prefix="/api/v1/workers", tags=["workers"], dependencies=[bearer])


@router.get("", summary="See the workers", responses=documented(401, 500, 503))
def list_workers(workers: Workers) -> list[WorkerView]:
    """Those whose heartbeat is fresh, the oldest first."""
    return workers.list()


@router.get("/{owner}", summary="See a worker and its jobs", responses=documented(401, 404, 500, 503))
def get_worker(owner: str, workers: Workers) -> WorkerDetail:
    """`owner` may also be a worker's name, where only one has it."""
    return workers.get(owner)
