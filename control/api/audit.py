"""The audit over HTTP: S3's reports, what operators did, and the clean-up."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime

from control.api.access import Reports, bearer
from control.api.errors import documented
from control.api.examples import shown
from control.service.audit_reports import ACTIONS, FAILURES, SLOW, SLOW_MS
from control.service.audit_views import (
    ActionView,
    Cleaned,
    ErrorAnalysis,
    FailureView,
    PerformanceView,
    StatisticsView,
    WorkerFiguresView,
)
from control.service.requests import AuditCleanRequest, AuditRange, Tenant

router = APIRouter(prefix="/api/v1/audit", tags=["audit"], dependencies=[bearer])

REPORT = documented(401, 403, 422, 500, 503)
MOST = 1_000

TenantId = Annotated[Tenant | None, Query(description='only this tenant; "" is jobs without one')]
Many = Annotated[int, Query(ge=1, le=MOST)]


def _range(
    since: Annotated[AwareDatetime | None, Query(description="ended then or later")] = None,
    until: Annotated[AwareDatetime | None, Query(description="ended before then; else now")] = None,
    tenantId: TenantId = None,  # noqa: N803 - the documents' own name
    queue: Annotated[str | None, Query(min_length=1, max_length=128)] = None,
) -> AuditRange:
    return AuditRange(since=since, until=until, tenant_id=tenantId, queue=queue)


Asked = Annotated[AuditRange, Depends(_range)]


@router.get("/statistics", summary="See what became of attempts", responses=REPORT)
def statistics(asked: Asked, reports: Reports) -> StatisticsView:
    """Counts, means and costs in a range of time, the last day without one."""
    return reports.statistics(asked)


@router.get("/failures", summary="See the last failures", responses=REPORT)
def failures(asked: Asked, reports: Reports, limit: Many = FAILURES) -> list[FailureView]:
    """Attempts with which a job failed for good, newest first."""
    return reports.recent_failures(asked, limit)


@router.get("/errors", summary="See failures by cause", responses=REPORT)
def errors(asked: Asked, reports: Reports) -> ErrorAnalysis:
    """Attempts that failed, grouped by fingerprint, the most frequent first; of the last day by default."""
    return reports.error_analysis(asked)


@router.get("/slow", summary="See slow attempts", responses=REPORT)
def slow(
    asked: Asked,
    reports: Reports,
    thresholdMs: Annotated[int, Query(ge=0, le=10**12)] = SLOW_MS,  # noqa: N803
    limit: Many = SLOW,
) -> list[FailureView]:
    """Attempts of the last day that ran for a minute or longer, unless told otherwise."""
    return reports.slow_jobs(asked, thresholdMs, limit)


@router.get("/workers", summary="See what each worker did", responses=REPORT)
def workers(asked: Asked, reports: Reports) -> list[WorkerFiguresView]:
    """In the last day by default, the busiest first; also workers that are gone."""
    return reports.worker_statistics(asked)


@router.get("/performance", summary="See waits, runs and rates of queues", responses=REPORT)
def performance(asked: Asked, reports: Reports) -> PerformanceView:
    """Percentiles of waits and runs, attempts a minute, and how many jobs succeed at once or later."""
    return reports.performance_metrics(asked)


@router.get("/actions", summary="See what operators did", responses=REPORT)
def actions(reports: Reports, tenantId: TenantId = None, limit: Many = ACTIONS) -> list[ActionView]:  # noqa: N803
    """Newest first. One without an end was cut off, or is done still."""
    return reports.actions(tenantId, limit)


@router.post(
    "/clean", summary="Remove old rows", responses=documented(400, 401, 403, 413, 415, 422, 500, 503)
)
def clean(
    body: Annotated[AuditCleanRequest, shown("Older than 90 days", {"olderThanDays": 90})], reports: Reports
) -> Cleaned:
    """Attempts older than this, and what operators did longer ago than the settings keep it."""
    days = body.older_than_days
    return reports.clean(None if days is None else timedelta(days=days), body.limit)
