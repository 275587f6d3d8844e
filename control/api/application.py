"""Puts the API together: routers, error answers, the guard, and the OpenAPI document."""

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.responses import JSONResponse, Response

from control.api import (
    audit,
    cache,
    dead_letters,
    docs,
    fleet_keys,
    health,
    history,
    job_actions,
    jobs,
    limits,
    providers,
    queue_actions,
    queues,
    rules,
    schedules,
    tenants,
    workers,
)
from control.api.faults import answer_faults
from control.api.guard import PROTECTED, Guard
from control.api.keys import KeyFile
from control.api.metrics import PATH as METRICS
from control.api.metrics import add_metrics
from control.api.openapi import describe
from control.api.tracing import TracedRequests

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
        # Its own spans hold the query, and its log records what exceptions say; see `TracedRequests`.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    api.state.app = app
    parts = (
        audit,
        cache,
        health,
        jobs,
        history,
        job_actions,
        dead_letters,
        queues,
        queue_actions,
        rules,
        limits,
        providers,
        schedules,
        tenants,
        workers,
        fleet_keys,
    )
    for part in parts:
        api.include_router(part.router)
    answer_faults(api)
    # Twice the payload: escapes may double what the payload limit counts.
    limit = 2 * settings.payload.max_bytes + BODY_SLACK
    if settings.telemetry.metrics_api != "off":
        add_metrics(api, app)
    if app.instruments.traces:
        api.add_middleware(TracedRequests, open_tracing=app.instruments.tracing)
    open_metrics = settings.telemetry.metrics_api == "open"
    api.add_middleware(
        Guard,
        matches=KeyFile(settings.home).matches,
        max_body=limit,
        protected=(PROTECTED,) if open_metrics else (PROTECTED, METRICS),
    )
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
