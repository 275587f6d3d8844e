"""`callboard audit`: S3's reports over the attempts of jobs."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from control.cli.operator import operator
from control.cli.output import duration, print_json, print_table

if TYPE_CHECKING:
    from control.service import AuditReports
    from control.service.audit_views import AttemptFigures, FailureView, SpanView
    from control.service.requests import AuditRange
    from control.service.views import View

app = typer.Typer(help="What became of attempts, and what operators did.", no_args_is_help=True)

Since = Annotated[str | None, typer.Option(help="Ended then or later: 2026-03-01T08:00, or 2h.")]
Until = Annotated[str | None, typer.Option(help="Ended before then; else now.")]
Tenant = Annotated[str | None, typer.Option(help="Only this tenant; '' is jobs without one.")]
Queue = Annotated[str | None, typer.Option(help="Only this queue.")]
Limit = Annotated[int, typer.Option(min=1, max=1_000, help="At most so many.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def stats(
    since: Since = None,
    until: Until = None,
    tenant: Tenant = None,
    queue: Queue = None,
    as_json: AsJson = False,
) -> None:
    """Counts, means and costs of attempts, of the last day without a range."""
    view = reports().statistics(_range(since, until, tenant, queue))
    if as_json:
        print_json(view.to_json())
        return
    counts = ("attempts", "jobs", "completed", "failed", "retried", "cancelled", "lost")
    headers = ("queue", *counts, "mean wait", "mean run", "longest")
    print_table(headers, [_figures(one, counts) for one in (*view.queues, view.total)])
    if view.success_rate is not None:
        typer.echo(f"success: {view.success_rate:.2%}")
    for cost in view.costs:
        typer.echo(f"cost: {cost.amount:,.4f} {cost.unit}")


@app.command()
def failures(
    since: Since = None,
    until: Until = None,
    tenant: Tenant = None,
    queue: Queue = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """The last jobs that failed for good, newest first."""
    views = reports().recent_failures(_range(since, until, tenant, queue), limit)
    _print_attempts(views, as_json, "no job failed for good")


@app.command()
def errors(
    since: Since = None,
    until: Until = None,
    tenant: Tenant = None,
    queue: Queue = None,
    as_json: AsJson = False,
) -> None:
    """Failures of the last day by cause, the most frequent first."""
    view = reports().error_analysis(_range(since, until, tenant, queue))
    if as_json:
        print_json(view.to_json())
        return
    rows = [
        (
            str(one.attempts),
            str(one.final),
            str(one.jobs),
            one.error_type or one.error_code or "",
            (one.fingerprint or "")[:12],
            f"{one.last_at:%Y-%m-%d %H:%M:%S}",
            one.last_job_id,
            one.last_message or "",
        )
        for one in view.errors
    ]
    headers = ("attempts", "final", "jobs", "error", "fingerprint", "last (UTC)", "job", "message")
    _print_rows(headers, rows, "nothing failed")


@app.command()
def slow(
    threshold: Annotated[str, typer.Option(help="How long a run is slow, such as 60s.")] = "60s",
    since: Since = None,
    until: Until = None,
    tenant: Tenant = None,
    queue: Queue = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Attempts of the last day that ran a minute or longer, the longest first."""
    from control.cli.arguments import read_age

    wanted = _range(since, until, tenant, queue)
    views = reports().slow_jobs(wanted, round(read_age("threshold", threshold).total_seconds() * 1000), limit)
    _print_attempts(views, as_json, f"nothing ran for {threshold} or longer")


@app.command()
def workers(
    since: Since = None,
    until: Until = None,
    tenant: Tenant = None,
    queue: Queue = None,
    as_json: AsJson = False,
) -> None:
    """What each worker did in the last day, also those that are gone."""
    views = reports().worker_statistics(_range(since, until, tenant, queue))
    if as_json:
        _print_views(views)
        return
    rows = [
        (
            one.name or one.worker,
            *map(str, (one.attempts, one.completed, one.failed)),
            duration(one.busy_ms),
            _mean(one.mean_run_ms),
            f"{one.last_at:%Y-%m-%d %H:%M:%S}",
        )
        for one in views
    ]
    headers = ("worker", "attempts", "completed", "failed", "busy", "mean run", "last (UTC)")
    _print_rows(headers, rows, "no worker did anything")


@app.command()
def performance(
    since: Since = None,
    until: Until = None,
    tenant: Tenant = None,
    queue: Queue = None,
    as_json: AsJson = False,
) -> None:
    """Waits, runs and rates of each queue in the last day."""
    view = reports().performance_metrics(_range(since, until, tenant, queue))
    if as_json:
        print_json(view.to_json())
        return
    rows = [
        (
            one.queue,
            f"{one.attempts_per_minute:,.2f}",
            *_span(one.wait_ms)[:2],
            *_span(one.run_ms),
            *map(_percent, (one.first_try_rate, one.recovered_rate, one.failed_rate)),
        )
        for one in view.queues
    ]
    headers = (
        "queue",
        "per min",
        "wait p50",
        "p95",
        "run p50",
        "p95",
        "p99",
        "at once",
        "recovered",
        "failed",
    )
    _print_rows(headers, rows, "nothing ran")


def reports() -> "AuditReports":
    """The reports of this installation, asked for by whoever runs the command."""
    from actors import app as platform
    from control.service import AuditReports

    return AuditReports(platform, operator(platform.settings.home))


def _range(since: str | None, until: str | None, tenant: str | None, queue: str | None) -> "AuditRange":
    from control.cli.arguments import read_range

    return read_range(since=since, until=until, tenant=tenant, queue=queue)


def _figures(one: "AttemptFigures", counts: Sequence[str]) -> tuple[str, ...]:
    return (
        one.queue or "all",
        *(f"{getattr(one, name):,}" for name in counts),
        _mean(one.mean_wait_ms),
        _mean(one.mean_run_ms),
        duration(one.longest_run_ms),
    )


def _print_attempts(views: "Sequence[FailureView]", as_json: bool, nothing: str) -> None:
    if as_json:
        _print_views(views)
        return
    rows = [
        (
            f"{one.finished_at:%Y-%m-%d %H:%M:%S}",
            one.queue,
            one.job_id,
            one.tenant_id or "",
            str(one.attempt),
            duration(one.run_ms),
            one.error_type or one.error_code or "",
            one.error_message or "",
        )
        for one in views
    ]
    headers = ("ended (UTC)", "queue", "job", "tenant", "attempt", "ran", "error", "message")
    _print_rows(headers, rows, nothing)


def _print_rows(headers: Sequence[str], rows: Sequence[Sequence[str]], nothing: str) -> None:
    if rows:
        print_table(headers, rows)
    else:
        typer.echo(nothing)


def _print_views(views: "Iterable[View]") -> None:
    print_json([view.to_json() for view in views])


def _mean(value: float | None) -> str:
    return duration(None if value is None else round(value))


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _span(view: "SpanView | None") -> tuple[str, str, str]:
    return ("", "", "") if view is None else (duration(view.p50), duration(view.p95), duration(view.p99))
