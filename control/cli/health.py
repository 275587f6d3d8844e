"""`callboard health`: what a container's health check asks. It exits with 0 or 1."""

import typer

app = typer.Typer(help="Whether a process of this host is well, for health checks.", no_args_is_help=True)

ANSWER_S = 3.0


@app.callback()
def group() -> None:
    """Whether a process of this host is well, for health checks."""


@app.command()
def api() -> None:
    """Whether the API answers on this host."""
    import httpx2

    from control.api.serve import api_url
    from jobs.errors import CallboardError
    from settings import load_settings

    settings = load_settings().api
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    url = f"{api_url(host, settings.port)}/healthz"
    try:
        httpx2.get(url, timeout=ANSWER_S, trust_env=False).raise_for_status()
    except httpx2.HTTPError as error:
        raise CallboardError(f"the API does not answer at {url} ({type(error).__name__})") from None


@app.command()
def audit() -> None:
    """Whether the rows of the audit keep up with the jobs."""
    from actors.composition import compose
    from control.service.checks.audit import lag
    from jobs.errors import CallboardError

    found = lag(compose())
    if found is None:
        raise CallboardError("the job store does not answer, so nobody knows how far the audit is behind")
    if found.status == "problem":
        raise CallboardError(f"{found.text}: {found.mend}")
    typer.echo(found.text)


@app.command()
def scheduler() -> None:
    """Whether a scheduler of this host is alive, whether it fires or stands by."""
    import socket

    from actors.composition import compose
    from control.service.checks.schedules import SILENT_S
    from database.scheduler_lease import SchedulerLease
    from jobs.errors import CallboardError

    host = socket.gethostname()
    here = [one for one in SchedulerLease(compose().engine()).processes() if one.host == host]
    if not any(one.age_s < SILENT_S for one in here):
        raise CallboardError(f"no scheduler on {host} has been heard of for {SILENT_S:.0f} s: see its log")


@app.command()
def worker() -> None:
    """Whether a worker of this host keeps its lease in Redis."""
    import socket

    from actors.composition import compose
    from jobs.errors import CallboardError

    host = socket.gethostname()
    if not any(worker.host == host for worker in compose().store.workers()):
        raise CallboardError(f"no worker on {host} keeps a lease: see its log")
