"""What operators do to queues, over HTTP."""

from typing import Annotated

from fastapi import APIRouter

from control.api.access import QueueVerbs, RuleVerbs, bearer
from control.api.errors import documented
from control.api.examples import shown
from control.service import Paused, Removal
from control.service.requests import CleanRequest, DrainRequest, ObliterateRequest, PauseRequest

router = APIRouter(prefix="/api/v1/queues/{queueName}", tags=["queues"], dependencies=[bearer])

REFUSALS = documented(400, 401, 404, 413, 415, 422, 500, 503)
A_TENANT = {"tenantId": "acme"}
OLD_ONES = {"state": "completed", "olderThanMs": 86_400_000, "keep": 100}


@router.post("/pause", summary="Pause a queue", responses=REFUSALS)
def pause(
    queueName: str,  # noqa: N803 - S0's own name
    rules: RuleVerbs,
    body: Annotated[PauseRequest, shown("Only one tenant in it", A_TENANT)] = PauseRequest(),  # noqa: B008
) -> Paused:
    """Nothing more of it is started, or nothing of one tenant; what runs goes on."""
    return rules.pause(queueName, body.tenant_id)


@router.post("/resume", summary="Resume a queue", responses=REFUSALS)
def resume(
    queueName: str,  # noqa: N803
    rules: RuleVerbs,
    body: Annotated[PauseRequest, shown("Only one tenant in it", A_TENANT)] = PauseRequest(),  # noqa: B008
) -> Paused:
    """A queue and a tenant in it are paused apart: each is resumed as it was paused."""
    return rules.resume(queueName, body.tenant_id)


@router.post("/drain", summary="Remove a queue's waiting jobs", responses=REFUSALS)
def drain(
    queueName: str,  # noqa: N803
    verbs: QueueVerbs,
    body: Annotated[DrainRequest, shown("Delayed ones stay", {"delayed": False})] = DrainRequest(),  # noqa: B008
) -> Removal:
    """Up to `limit` of them; call again while `more` is true."""
    return verbs.drain(queueName, body)


@router.post("/clean", summary="Remove a queue's old jobs", responses=REFUSALS)
def clean(
    queueName: str,  # noqa: N803
    body: Annotated[CleanRequest, shown("Completed ones of a day ago, but for 100", OLD_ONES)],
    verbs: QueueVerbs,
) -> Removal:
    """Of one state, the oldest first, up to `limit`; call again while `more` is true.

    A dead letter stays until its audit row is stored.
    """
    return verbs.clean(queueName, body)


@router.post("/obliterate", summary="Remove a queue with all that is in it", responses=REFUSALS)
def obliterate(
    queueName: str,  # noqa: N803
    body: Annotated[ObliterateRequest, shown("The name once more", {"confirm": "email-sync"})],
    verbs: QueueVerbs,
) -> Removal:
    """All its jobs but those that run, its counters and changed rules. Call again while `more` is true.

    A dead letter stays until its audit row is stored.
    """
    return verbs.obliterate(queueName, body)
