"""Schedules over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime

from control.api.access import ScheduleReads, ScheduleVerbs, bearer
from control.api.errors import documented
from control.api.examples import shown
from control.service.schedule_requests import (
    MOST_NEXT,
    MOST_TICKS,
    NewScheduleRequest,
    PreviewRequest,
    ScheduleChanges,
    ScheduleRequest,
)
from control.service.schedule_views import (
    Gone,
    NextView,
    PreviewView,
    RunView,
    SchedulesView,
    ScheduleView,
    StateName,
    TicksView,
)

router = APIRouter(prefix="/api/v1/schedules", tags=["schedules"], dependencies=[bearer])

READS = documented(401, 404, 422, 500, 503)
REFUSALS = documented(400, 401, 404, 409, 413, 415, 422, 500, 503)
ACTS = documented(401, 404, 409, 500, 503)
LOCATION: dict[str, Any] = {
    "headers": {"Location": {"description": "where to see it", "schema": {"type": "string"}}}
}
DAILY = {
    "cron": "0 9 * * mon-fri",
    "timezone": "Europe/Berlin",
    "actor": "report_generate",
    "args": {"kind": "custom", "format": "csv", "report": {"title": "Orders until {tick}"}},
    "tenantId": "acme",
    "catchUp": "last",
    "overlap": "skip",
}
CLOCK = {"cron": "30 2 * * *", "timezone": "Europe/Berlin", "count": 3}
NAMED = {"name": "acme-orders", **DAILY}
Version = Annotated[int | None, Query(ge=1, description="refuse when it has another version by now")]


@router.get("", summary="See schedules", responses=documented(401, 422, 500, 503))
def list_schedules(
    schedules: ScheduleReads,
    state: Annotated[StateName | None, Query(description="only those in this state")] = None,
    actor: Annotated[str | None, Query(max_length=128, description="only those of this actor")] = None,
    source: Annotated[str | None, Query(pattern="^(code|settings|runtime)$")] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    after: Annotated[str | None, Query(max_length=64, description="`next` of the answer before")] = None,
) -> SchedulesView:
    """Of code, settings and API, by name: when in words, state, what comes next and what was last."""
    return schedules.page(state=state, actor=actor, source=source, limit=limit, after=after)


@router.post(
    "",
    status_code=201,
    summary="Create a schedule",
    responses={201: {"description": "It is kept.", **LOCATION}, **REFUSALS},
)
def create_schedule(
    body: Annotated[NewScheduleRequest, shown("Each working day at nine in Berlin", NAMED)],
    verbs: ScheduleVerbs,
    response: Response,
) -> ScheduleView:
    """A name that is taken is refused; `PUT` replaces."""
    view = verbs.create(body)
    response.headers["Location"] = f"/api/v1/schedules/{view.name}"
    return view


@router.post(
    "/preview", summary="See what a timing means", responses=documented(400, 401, 413, 415, 422, 500)
)
def preview(
    body: Annotated[
        PreviewRequest,
        shown("At half past two", CLOCK),
    ],
    schedules: ScheduleReads,
) -> PreviewView:
    """In words, and the ticks to come, each with what a change of the clock does to it. Nothing is kept."""
    return schedules.preview(body)


@router.get("/{scheduleName}", summary="See a schedule", responses=READS)
def get_schedule(scheduleName: str, schedules: ScheduleReads) -> ScheduleView:  # noqa: N803 - camelCase
    """As it holds now."""
    return schedules.get(scheduleName)


@router.put(
    "/{scheduleName}",
    summary="Create or replace a schedule",
    responses={201: {"description": "It is new.", "model": ScheduleView, **LOCATION}, **REFUSALS},
)
def put_schedule(
    scheduleName: str,  # noqa: N803
    body: Annotated[ScheduleRequest, shown("Each working day at nine in Berlin", DAILY)],
    verbs: ScheduleVerbs,
    response: Response,
) -> ScheduleView:
    """The same twice changes nothing. Its cursor, pause and history stay. One that is declared in code or in
    the settings is changed there."""
    saved = verbs.put(scheduleName, body)
    if saved.created:
        response.status_code = 201
        response.headers["Location"] = f"/api/v1/schedules/{scheduleName}"
    return saved.view


@router.patch("/{scheduleName}", summary="Change a schedule", responses=REFUSALS)
def change_schedule(
    scheduleName: str,  # noqa: N803
    body: Annotated[ScheduleChanges, shown("Another time", {"cron": "30 8 * * mon-fri", "version": 1})],
    verbs: ScheduleVerbs,
) -> ScheduleView:
    """What is left out stays. With `version` what somebody else has changed meanwhile is not overwritten."""
    return verbs.change(scheduleName, body)


@router.delete("/{scheduleName}", summary="Delete a schedule", responses=READS | ACTS)
def delete_schedule(
    scheduleName: str,  # noqa: N803
    verbs: ScheduleVerbs,
    version: Version = None,
) -> Gone:
    """Its jobs stay."""
    return verbs.delete(scheduleName, version)


@router.post("/{scheduleName}/pause", summary="Pause a schedule", responses=ACTS)
def pause(scheduleName: str, verbs: ScheduleVerbs) -> ScheduleView:  # noqa: N803
    """It fires nothing more until it is resumed, however it is declared. Jobs that are there go on."""
    return verbs.pause(scheduleName)


@router.post("/{scheduleName}/resume", summary="Resume a schedule", responses=ACTS)
def resume(scheduleName: str, verbs: ScheduleVerbs) -> ScheduleView:  # noqa: N803
    """It goes on with the next tick; those of the pause are not caught up."""
    return verbs.resume(scheduleName)


@router.post("/{scheduleName}/run", summary="Run a schedule's job now", responses=ACTS)
def run(scheduleName: str, verbs: ScheduleVerbs) -> RunView:  # noqa: N803
    """One more job outside the ticks, also while it is paused. The answer has its id."""
    return verbs.run(scheduleName)


@router.get("/{scheduleName}/next", summary="See the ticks to come", responses=READS)
def coming(
    scheduleName: str,  # noqa: N803
    schedules: ScheduleReads,
    count: Annotated[int, Query(ge=1, le=MOST_NEXT)] = 5,
    after: Annotated[AwareDatetime | None, Query(description="from then on; left out: from now on")] = None,
) -> NextView:
    """In UTC and by its own zone, with what a change of the clock does to each; also while it is paused."""
    return schedules.next(scheduleName, count, after)


@router.get("/{scheduleName}/history", summary="See the ticks that were", responses=READS)
def history(
    scheduleName: str,  # noqa: N803
    schedules: ScheduleReads,
    limit: Annotated[int, Query(ge=1, le=MOST_TICKS)] = 50,
    after: Annotated[str | None, Query(max_length=64, description="`next` of the answer before")] = None,
) -> TicksView:
    """The newest first: what became of each tick, how late it was, and how its job ended."""
    return schedules.history(scheduleName, limit, after)
