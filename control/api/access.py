"""What every router under /api shares: the services, and the bearer key in the OpenAPI document."""

from typing import Annotated, cast

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from control.service import JobService, QueueService

# The guard has checked the key already; this tells the documentation that there is one.
bearer = Security(HTTPBearer(auto_error=False, description="the key that the first start printed"))


def _jobs(request: Request) -> JobService:
    return cast(JobService, request.app.state.jobs)


def _queues(request: Request) -> QueueService:
    return cast(QueueService, request.app.state.queues)


Jobs = Annotated[JobService, Depends(_jobs)]
Queues = Annotated[QueueService, Depends(_queues)]
