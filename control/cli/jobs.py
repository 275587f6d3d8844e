"""`callboard jobs`: add, get, list, watch."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from control.cli.output import duration, print_json, print_table
from jobs.states import JobState

if TYPE_CHECKING:
    from control.service import JobService, JobView

app = typer.Typer(help="Add jobs and see what becomes of them.", no_args_is_help=True)

JobId = Annotated[str, typer.Argument(help="The job's id.", show_default=False)]
UNIQUE = "One of until_started, until_finished, throttle, debounce, latest."
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="A queue or an actor, such as email-sync.", show_default=False)],
    values: Annotated[
        list[str] | None, typer.Argument(help="Arguments as name=value.", show_default=False)
    ] = None,
    json: Annotated[
        str | None, typer.Option(help="Arguments as a JSON object, or @FILE, or @- for standard input.")
    ] = None,
    job: Annotated[str | None, typer.Option(help="The job's name, where a queue has several.")] = None,
    priority: Annotated[int | None, typer.Option(min=1, max=10, help="1 is first.")] = None,
    delay: Annotated[str | None, typer.Option(help="Start no sooner than in, such as 5s.")] = None,
    at: Annotated[str | None, typer.Option(help="Start no sooner than then: 2026-03-01T08:00.")] = None,
    attempts: Annotated[int | None, typer.Option(min=1, help="Executions at most.")] = None,
    backoff: Annotated[str | None, typer.Option(help="Such as exponential:5s, fixed:2s, linear:1s.")] = None,
    timeout: Annotated[str | None, typer.Option(help="Limit of one attempt, such as 2min.")] = None,
    retry_for: Annotated[str | None, typer.Option(help="No retry starts later, such as 2h.")] = None,
    deadline: Annotated[str | None, typer.Option(help="For the whole job, such as 10min.")] = None,
    expires: Annotated[str | None, typer.Option(help="It must start within, such as 30s.")] = None,
    job_id: Annotated[str | None, typer.Option("--id", help="Same id twice is one job.")] = None,
    tenant: Annotated[str | None, typer.Option(help="The tenant the job belongs to.")] = None,
    gate: Annotated[str | None, typer.Option(help="A resource of the tenant, such as gmail:a7.")] = None,
    unique: Annotated[str | None, typer.Option(help=UNIQUE)] = None,
    key: Annotated[str | None, typer.Option(help="What is unique; else all arguments.")] = None,
    ttl: Annotated[str | None, typer.Option(help="How long it is unique, such as 1h.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the job until it settles.")] = False,
) -> None:
    """Add a job. Prints its id."""
    from actors import app as platform
    from control.cli.arguments import read_data, read_options
    from control.service import JobService, NewJobRequest
    from control.service.names import find_actor

    actor = find_actor(platform, name, job)
    options = {
        "priority": priority,
        "delay": delay,
        "runAt": at,
        "attempts": attempts,
        "backoff": backoff,
        "timeout": timeout,
        "retryFor": retry_for,
        "deadline": deadline,
        "expires": expires,
        "jobId": job_id,
        "tenantId": tenant,
        "gate": gate,
        "unique": unique,
        "key": key,
        "ttl": ttl,
    }
    request = NewJobRequest(
        queue=name,
        name=job,
        data=read_data(values or [], json, platform.schema(actor.actor_name)),
        options=read_options(options),
    )
    service = JobService(platform)
    added, created, replaced = service.add(request)
    typer.echo(added.id)
    if not created:
        typer.echo(f"callboard: job {added.id} was there already ({added.state})", err=True)
    if replaced is not None:
        typer.echo(f"callboard: it took the place of job {replaced}", err=True)
    if wait:
        raise typer.Exit(_follow(service, added.id))


@app.command()
def get(job_id: JobId, as_json: AsJson = False) -> None:
    """Show one job."""
    view = _service().get(job_id)
    if as_json:
        print_json(view.to_json())
        return
    told = {**view.to_json(), **{name: f"({note})" for name, note in view.notes.items()}}
    del told["notes"]
    print_table(("", ""), [(name, _cell(value)) for name, value in told.items() if value not in (None, [])])


@app.command("list")
def list_jobs(
    queue: Annotated[str, typer.Argument(help="The queue.", show_default=False)],
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Jobs of each state at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the jobs of a queue."""
    service = _service()
    states = [state] if state else list(JobState)
    views = [view for one in states for view in service.list(queue, one, limit)]
    if as_json:
        print_json([view.to_json() for view in views])
    elif views:
        print_table(("id", "actor", "state", "attempts", "wait", "run", "failed because"), map(_row, views))
        for one, there in service.counts(queue, states).items():
            shown = sum(view.state is one for view in views)
            if limit <= shown < there:
                typer.echo(f"{shown:,} of {there:,} {one}; --limit shows more")
    else:
        typer.echo(f"no {state or ''} jobs in {queue}".replace("  ", " "))


@app.command()
def watch(job_id: JobId) -> None:
    """Follow a job until it settles: exit code 0 when it completed, 1 when it did not."""
    raise typer.Exit(_follow(_service(), job_id))


def _service() -> "JobService":
    from actors import app as platform
    from control.service import JobService

    return JobService(platform)


def _follow(service: "JobService", job_id: str) -> int:
    from control.cli.watching import follow_job

    return follow_job(service, job_id)


def _row(view: "JobView") -> tuple[str, ...]:
    attempts = f"{view.attempts_made}/{view.opts.attempts}"
    reason = (view.failed_reason or "").partition("\n")[0]
    return (
        view.id,
        view.name,
        view.state,
        attempts,
        duration(view.wait_ms),
        duration(view.run_ms),
        reason,
    )


def _cell(value: Any) -> str:
    import orjson

    return value if isinstance(value, str) else orjson.dumps(value).decode()
