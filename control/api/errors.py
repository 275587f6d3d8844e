"""Every error the API can answer: its status, its code, and one body shape for all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from control.service.errors import NotAllowed, NotConfirmed, NotPossible, UnknownWorker
from database.errors import DatabaseOutdated, DatabaseUnavailable
from jobs.errors import (
    CallboardError,
    InvalidAdjustment,
    InvalidPayload,
    InvalidSchedule,
    JobIdTaken,
    JobNotFound,
    KeyMissing,
    PayloadTooLarge,
    StoreFull,
    StoreUnavailable,
    UnknownActor,
    UnknownLimit,
    UnknownQueue,
)
from scheduling.errors import NotEditable, ScheduleChanged, ScheduleExists, UnknownSchedule


class ErrorDetail(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    code: str = Field(description="for programs; stable")
    message: str = Field(description="for people: what is wrong and what to do")
    field: str | None = Field(default=None, description="the part of the request that is wrong")
    request_id: str | None = Field(
        default=None, alias="requestId", description="names the log line of an internal error"
    )


class ErrorBody(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail


@dataclass(frozen=True, slots=True)
class ApiError:
    """One kind of error answer."""

    status: int
    code: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(
        self, message: str, *, field: str | None = None, request_id: str | None = None
    ) -> JSONResponse:
        """The answer itself."""
        detail = ErrorDetail(code=self.code, message=message, field=field, request_id=request_id)
        body = ErrorBody(error=detail).model_dump(by_alias=True, exclude_none=True)
        return JSONResponse(body, self.status, dict(self.headers))


INVALID_JSON = ApiError(400, "invalid_json")
UNAUTHORIZED = ApiError(401, "unauthorized", {"WWW-Authenticate": "Bearer"})
NOT_FOUND = ApiError(404, "not_found")
METHOD_NOT_ALLOWED = ApiError(405, "method_not_allowed")
TOO_LARGE = ApiError(413, "payload_too_large")
NOT_JSON = ApiError(415, "unsupported_media_type")
INVALID_REQUEST = ApiError(422, "invalid_request")
INTERNAL = ApiError(500, "internal_error")

#: What each error of ours becomes; the first class that fits decides.
OF_OURS: Sequence[tuple[type[CallboardError], ApiError]] = (
    (JobNotFound, ApiError(404, "unknown_job")),
    (UnknownQueue, ApiError(404, "unknown_queue")),
    (UnknownLimit, ApiError(404, "unknown_limit")),
    (UnknownActor, ApiError(404, "unknown_actor")),
    (UnknownWorker, ApiError(404, "unknown_worker")),
    (UnknownSchedule, ApiError(404, "unknown_schedule")),
    (NotAllowed, ApiError(403, "forbidden")),
    (JobIdTaken, ApiError(409, "taken")),
    (ScheduleExists, ApiError(409, "taken")),
    (ScheduleChanged, ApiError(409, "changed")),
    (NotEditable, ApiError(409, "not_editable")),
    (NotPossible, ApiError(409, "not_possible")),
    (NotConfirmed, ApiError(422, "not_confirmed")),
    (InvalidAdjustment, ApiError(422, "invalid_rule")),
    (InvalidSchedule, ApiError(422, "invalid_schedule")),
    (InvalidPayload, ApiError(422, "invalid_payload")),
    (PayloadTooLarge, TOO_LARGE),
    (KeyMissing, ApiError(409, "key_missing")),
    (StoreUnavailable, ApiError(503, "store_unavailable", {"Retry-After": "5"})),
    (StoreFull, ApiError(503, "store_full", {"Retry-After": "30"})),
    (DatabaseUnavailable, ApiError(503, "database_unavailable", {"Retry-After": "5"})),
    (DatabaseOutdated, ApiError(503, "database_outdated", {"Retry-After": "30"})),
)


def of_error(error: CallboardError) -> ApiError | None:
    """The answer for an error of ours; None for one that is not the caller's business."""
    return next((answer for kind, answer in OF_OURS if isinstance(error, kind)), None)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of these error statuses."""
    return {status: {"model": ErrorBody, "description": _MEANINGS[status]} for status in statuses}


_MEANINGS = {
    400: "The body is not JSON.",
    401: "The bearer key is missing or wrong.",
    403: "This key may not see or do that.",
    404: "There is no such thing (job, queue, actor, worker, schedule); the message names the nearest one.",
    409: "A taken `jobId` or name, or a thing in a state in which this cannot be done to it.",
    413: "The body or the job's data is over the size limit.",
    415: "The body is not declared as application/json.",
    422: "A field is wrong; `field` names it.",
    500: "Something broke; the log line with this `requestId` says what.",
    503: "Job store or database are away or full; nothing was done. Try again after `Retry-After` seconds.",
}
