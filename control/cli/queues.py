"""`callboard queues`: see them, pause them, empty them."""

from typing import TYPE_CHECKING, Annotated

import typer

from control.cli.operator import operator
from control.cli.output import duration, print_json, print_table

if TYPE_CHECKING:
    from control.service import LaneView, Paused, QueueActions, QueueMetrics, QueueService, RuleActions

app = typer.Typer(help="See queues, pause and empty them, change their limits.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The queue.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without, they are only counted.")]


@app.command("list")
def list_queues(as_json: AsJson = False) -> None:
    """Counts and rates of every queue."""
    views = _service().all_metrics()
    if as_json:
        print_json([view.to_json() for view in views])
        return
    counts = ("waiting", "resting", "active", "delayed", "blocked", "failed")
    print_table(("queue", *counts, "done/min", "oldest", "workers", ""), map(_row, views))


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """All counts of one queue."""
    view = _service().metrics(name).to_json()
    if as_json:
        print_json(view)
    else:
        print_table(("", ""), [(key, str(value)) for key, value in view.items() if value is not None])


@app.command()
def lanes(
    name: Name,
    tenant: Annotated[list[str] | None, typer.Option(help="Only this tenant; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Tenants at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Counts of each tenant in a queue that has work there."""
    views = _service().lanes(name, tenant, limit)
    if as_json:
        print_json([view.to_json() for view in views])
    elif views:
        counts = ("waiting", "resting", "active", "delayed", "completed", "failed")
        rows = [
            (one.tenant_id or "(none)", *_counts(one, counts), f"{one.weight:g}", _paused(one.paused))
            for one in views
        ]
        print_table(("tenant", *counts, "weight", ""), rows)
    else:
        typer.echo(f"no tenant has work in {name}")


@app.command()
def pause(name: Name) -> None:
    """Start nothing more of a queue; what runs goes on."""
    _say(_rules().pause(name))


@app.command()
def resume(name: Name) -> None:
    """Let a paused queue go on."""
    _say(_rules().resume(name))


@app.command()
def drain(
    name: Name,
    keep_delayed: Annotated[bool, typer.Option("--keep-delayed", help="Leave delayed jobs there.")] = False,
    yes: Yes = False,
) -> None:
    """Remove the waiting and delayed jobs of a queue."""
    from control.cli.chunks import carry_out

    chunks = _verbs().drain_all(name, not keep_delayed)
    stats = _service().metrics(name)
    delayed = 0 if keep_delayed else stats.delayed
    typer.echo(f"{name}: {stats.waiting:,} waiting" + (f", {delayed:,} delayed" if delayed else ""))
    if not yes:
        typer.echo("add --yes to remove them")
        return
    raise typer.Exit(carry_out(chunks, stats.waiting + delayed, "removed"))


@app.command()
def clean(
    name: Name,
    state: Annotated[str, typer.Option(help="completed, failed, cancelled, waiting or delayed.")],
    older_than: Annotated[str, typer.Option(help="Only after so long in that state, such as 7d.")] = "0s",
    keep: Annotated[int, typer.Option(min=0, help="So many of the newest stay.")] = 0,
    yes: Yes = False,
) -> None:
    """Remove the jobs of a queue that have been in one state longest."""
    from control.cli.arguments import read_clean
    from control.cli.chunks import carry_out

    request = read_clean(state, older_than, keep)
    chunks = _verbs().clean_all(name, request)
    stats = _service().metrics(name)
    there = max(0, getattr(stats, request.state) - keep)
    typer.echo(f"{name}: up to {there:,} {request.state} jobs, in it for at least {older_than}")
    if not yes:
        typer.echo("add --yes to remove them")
        return
    raise typer.Exit(carry_out(chunks, there, "removed"))


@app.command()
def obliterate(
    name: Name,
    confirm: Annotated[str, typer.Option(help="The queue's name once more.", show_default=False)],
) -> None:
    """Remove everything of a queue but what runs: jobs of all states, counters, changed limits."""
    from control.cli.chunks import carry_out

    chunks = _verbs().obliterate_all(name, confirm)
    stats = _service().metrics(name)
    total = stats.waiting + stats.delayed + stats.blocked + stats.completed + stats.failed + stats.cancelled
    typer.echo(f"{name}: {total:,} jobs; {stats.active:,} that run stay")
    code = carry_out(chunks, total, "removed")
    left = _service().metrics(name).failed if code == 0 else 0
    if left:
        typer.echo(f"{left:,} dead letters stay until their audit rows are stored; run it again then")
    if total:
        typer.echo(f"ids that their senders gave stay taken for {_id_memory(name)}")
    raise typer.Exit(code)


def _service() -> "QueueService":
    from actors import app as platform
    from control.service import QueueService

    return QueueService(platform)


def _verbs() -> "QueueActions":
    from actors import app as platform
    from control.service import QueueActions

    return QueueActions(platform, operator(platform.settings.home))


def _rules() -> "RuleActions":
    from actors import app as platform
    from control.service import RuleActions

    return RuleActions(platform, operator(platform.settings.home))


def _id_memory(name: str) -> str:
    from actors import app as platform
    from control.service.names import one_queue
    from control.service.removals import span_words

    return span_words(platform.rules_of(one_queue(platform, name)).id_memory_ms)


def _say(done: "Paused") -> None:
    word = "paused" if done.paused else "resumed"
    typer.echo(f"{word} {', '.join(done.queues)}")


def _row(view: "QueueMetrics") -> tuple[str, ...]:
    counts = (view.waiting, view.resting, view.active, view.delayed, view.blocked, view.failed)
    return (
        view.queue,
        *map(str, counts),
        f"{view.completed_per_minute:,.1f}",
        duration(view.oldest_waiting_ms),
        str(view.worker_count),
        _paused(view.paused),
    )


def _counts(view: "LaneView", names: tuple[str, ...]) -> list[str]:
    return [str(getattr(view, name)) for name in names]


def _paused(paused: bool) -> str:
    return "paused" if paused else ""
