"""Turns whatever goes wrong in a request into an answer of the one error shape."""

import re
from collections.abc import Sequence
from typing import Any, get_args

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from control.api.errors import (
    INVALID_JSON,
    INVALID_REQUEST,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    NOT_JSON,
    ApiError,
    of_error,
)
from control.service.schedule_requests import field_of
from jobs.errors import CallboardError, InvalidSchedule, UnknownActor, UnknownQueue
from settings.errors import nearest

#: Where a refusal names the argument: at its beginning, or after "… cannot take these arguments".
FIELD = re.compile(r"(?:^|arguments: )(\w+(?:\.\w+)*): ")

#: This process knows the actors that were there when it started.
RESTART = "an actor added since the API started needs a restart of it"


def answer_faults(api: FastAPI) -> None:
    """Register the answers. What is not named here reaches the guard, which answers 500."""
    api.add_exception_handler(CallboardError, _of_ours)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _of_starlette)


def _of_ours(request: Request, error: Exception) -> Response:
    answer = of_error(error) if isinstance(error, CallboardError) else None
    if answer is None:
        raise error
    if isinstance(error, UnknownQueue | UnknownActor):
        return answer.response(f"{str(error).rstrip('.')}; {RESTART}")
    if isinstance(error, InvalidSchedule):
        return answer.response(str(error), field=field_of(error))
    named = FIELD.search(str(error)) if answer.status == INVALID_REQUEST.status else None
    return answer.response(str(error), field=named[1] if named else None)


def _invalid(request: Request, error: Exception) -> Response:
    """Name the field and what is wrong with it; never repeat the value, which may be a secret."""
    assert isinstance(error, RequestValidationError)
    problems: Sequence[Any] = error.errors()
    first = problems[0]
    path = [str(part) for part in first["loc"]]
    field = ".".join(path[1:]) or path[0]
    if first["type"] == "json_invalid":
        return INVALID_JSON.response("the body is not valid JSON")
    if path == ["body"]:
        return _no_object(request)
    if first["type"] == "extra_forbidden":
        message = f"{field} is not a known field{_meant(request, path)}"
    else:
        said = first["msg"].removeprefix("Value error, ")
        message = f"{field}: {said[:1].lower()}{said[1:]}"
    return INVALID_REQUEST.response(message, field=field)


def _no_object(request: Request) -> Response:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("", "application/json") and not kind.endswith("+json"):
        return NOT_JSON.response("send the body as JSON, with the header 'Content-Type: application/json'")
    return INVALID_REQUEST.response(
        "the body must be a JSON object, sent with 'Content-Type: application/json'", field="body"
    )


def _meant(request: Request, path: Sequence[str]) -> str:
    """The nearest field of the model that the unknown one was given in."""
    route = request.scope.get("route")
    body = route.body_field if isinstance(route, APIRoute) else None
    model = _model_in(body.field_info.annotation) if body else None
    for part in path[1:-1]:
        below = model.model_fields.get(part) if model else None
        model = _model_in(below.annotation) if below else None
    names = [one.alias or name for name, one in model.model_fields.items()] if model else []
    near = nearest(path[-1], names)
    return f"; did you mean {near}?" if near else ""


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation names, also when it is one of several things."""
    choices = (annotation, *get_args(annotation))
    return next((one for one in choices if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _of_starlette(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == NOT_FOUND.status:
        return NOT_FOUND.response("there is nothing at this address; /docs lists what there is")
    if error.status_code == METHOD_NOT_ALLOWED.status:
        answer = METHOD_NOT_ALLOWED.response(f"{request.method} is not possible here")
        answer.headers.update(error.headers or {})
        return answer
    if error.status_code == INVALID_JSON.status:
        return INVALID_JSON.response("the body could not be read as JSON in UTF-8")
    return ApiError(error.status_code, "refused").response(str(error.detail))
