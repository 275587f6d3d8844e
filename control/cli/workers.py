"""`callboard workers`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from control.cli.output import print_json, print_table

if TYPE_CHECKING:
    from control.service import WorkerService, WorkerView

app = typer.Typer(help="See the worker processes that are alive.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_workers(as_json: AsJson = False) -> None:
    """All workers whose heartbeat is fresh, the oldest first."""
    views = _service().list()
    if as_json:
        print_json([view.to_json() for view in views])
    elif views:
        headers = (
            "name",
            "host",
            "process",
            "version",
            "threads",
            "running",
            "memory",
            "heartbeat",
            "queues",
        )
        print_table(headers, map(_row, views))
    else:
        typer.echo("no worker is alive; start one with '.venv/bin/dramatiq actors'")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Its name or owner.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """One worker and the ids of its jobs."""
    view = _service().get(name).to_json()
    if as_json:
        print_json(view)
    else:
        print_table(("", ""), [(key, _cell(value)) for key, value in view.items()])


def _service() -> "WorkerService":
    from actors import app as platform
    from control.service import WorkerService

    return WorkerService(platform)


def _row(view: "WorkerView") -> tuple[str, ...]:
    return (
        view.name,
        view.host,
        str(view.pid),
        view.version,
        str(view.threads),
        str(view.running),
        f"{view.memory_bytes / 1_048_576:.0f} MB" if view.memory_bytes else "",
        f"{view.seen_at:%H:%M:%S} UTC" if view.seen_at else "",
        ", ".join(view.queues),
    )


def _cell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
