"""Puts the API together: routers, error answers, the guard, and the OpenAPI document."""

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.responses import JSONResponse, Response

from control.api import (
    dead_letters,
    docs,
    health,
    job_actions,
    jobs,
    queue_actions,
    queues,
    rules,
    tenants,
    workers,
)
from control.api.faults import answer_faults
from control.api.guard import Guard
from control.api.keys import KeyFile
from control.api.openapi import describe

BODY_SLACK = 65_536  # bytes for options and escapes around a payload at its own limit

ABOUT = (
    "Add jobs and see what becomes of them. Every call under `/api` needs the bearer key that the first "
    "start printed (`callboard api-key rotate` makes a new one). Every error has the same body: "
    "`error.code` for programs, `error.message` for people, `error.field` where one field is wrong."
)

if TYPE_CHECKING:
    from actors.composition import App


def create_api(app: "App") -> FastAPI:
    """The ASGI application over a composed platform. Makes no connection before the first request."""
    settings = app.settings
    api = FastAPI(
        title="Callboard",
        version="1",
        description=ABOUT,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    api.state.app = app
    for part in (health, jobs, job_actions, dead_letters, queues, queue_actions, rules, tenants, workers):
        api.include_router(part.router)
    answer_faults(api)
    # Twice the payload: escapes may double what the payload limit counts.
    limit = 2 * settings.payload.max_bytes + BODY_SLACK
    api.add_middleware(Guard, matches=KeyFile(settings.home).matches, max_body=limit)
    if settings.api.docs:
        _serve_documentation(api, app)
    return api


def _serve_documentation(api: FastAPI, app: "App") -> None:
    document: dict[str, Any] = describe(api, app)

    def openapi() -> JSONResponse:
        return JSONResponse(document)

    def page() -> Response:
        return Response(docs.page(document), media_type="text/html")

    api.add_api_route("/openapi.json", openapi, include_in_schema=False)
    api.add_api_route("/docs", page, include_in_schema=False)
