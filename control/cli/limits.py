"""`callboard queues limits`, `set` and `restore`, and `callboard tenants`."""

from typing import TYPE_CHECKING, Annotated

import typer

from control.cli.operator import operator
from control.cli.output import print_json, print_table

if TYPE_CHECKING:
    from control.service import EffectiveRules, RuleActions, RulesView

tenants = typer.Typer(help="Pause tenants and change their limits.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The queue.", show_default=False)]
Tenant = Annotated[str, typer.Argument(help="The tenant; '' is jobs without one.", show_default=False)]
Queue = Annotated[str | None, typer.Option(help="Only in this queue; else in all.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Cap = Annotated[str | None, typer.Option(help="Jobs at once over all workers, none, or settings.")]
RateText = Annotated[
    str | None, typer.Option(help="Starts over all workers such as 10/s, or none, or settings.")
]


def limits(
    name: Name,
    tenant: Annotated[str | None, typer.Option(help="Those of this tenant in the queue.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the limits of a queue as they hold now, and where each comes from."""
    _show(_effective().of_queue(name) if tenant is None else _effective().of_lane(name, tenant), as_json)


def change(
    name: Name,
    cap: Cap = None,
    rate: RateText = None,
    lane_cap: Annotated[str | None, typer.Option(help="Jobs of one tenant at once, likewise.")] = None,
    lane_rate: Annotated[str | None, typer.Option(help="Starts of one tenant, likewise.")] = None,
    gate_cap: Annotated[str | None, typer.Option(help="Jobs of one gate at once, likewise.")] = None,
    gate_rate: Annotated[str | None, typer.Option(help="Starts of one gate, likewise.")] = None,
    concurrency: Annotated[
        str | None, typer.Option(help="Jobs at once in each worker process, up to its threads, or settings.")
    ] = None,
    worker_rate: Annotated[str | None, typer.Option(help="Starts in each worker process.")] = None,
    priority: Annotated[str | None, typer.Option(help="Among queues: 1 (first) to 10, or settings.")] = None,
) -> None:
    """Change limits of a queue at once, in all workers; `settings` lets one follow the settings again."""
    from control.cli.arguments import read_changes
    from control.service.requests import QueueChanges

    given = {
        "cap": cap,
        "rate": rate,
        "laneCap": lane_cap,
        "laneRate": lane_rate,
        "gateCap": gate_cap,
        "gateRate": gate_rate,
        "concurrency": concurrency,
        "workerRate": worker_rate,
        "priority": priority,
    }
    queue = _verbs().change_queue(name, read_changes(QueueChanges, given))
    _show(_effective().of_queue(queue), as_json=False)


def restore(
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, differences are only shown.")] = False,
) -> None:
    """Make the job store go by the pauses and limits that the database keeps."""
    from actors import app
    from control.service import KeptRules

    kept = KeptRules(app, operator(app.settings.home))
    differences = kept.differences()
    for one in differences:
        typer.echo(str(one))
    if not differences:
        typer.echo("nothing differs")
    elif yes:
        typer.echo(f"restored: {kept.restore()}")
    else:
        typer.echo("add --yes to let the store follow what is kept")


@tenants.command("pause")
def pause_tenant(tenant: Tenant, queue: Queue = None) -> None:
    """Start nothing more of a tenant; what runs goes on."""
    done = _verbs().pause(queue, tenant) if queue else _verbs().pause_tenant(tenant)
    typer.echo(f"paused {tenant!r} in {', '.join(done.queues)}")


@tenants.command("resume")
def resume_tenant(tenant: Tenant, queue: Queue = None) -> None:
    """Let a tenant go on."""
    done = _verbs().resume(queue, tenant) if queue else _verbs().resume_tenant(tenant)
    typer.echo(f"resumed {tenant!r} in {', '.join(done.queues)}")


@tenants.command("set")
def change_tenant(
    tenant: Tenant,
    queue: Queue = None,
    weight: Annotated[str | None, typer.Option(help="Share against other tenants, or settings.")] = None,
    cap: Cap = None,
    rate: RateText = None,
) -> None:
    """Change a tenant's limits; in several queues each counts by itself."""
    from control.cli.arguments import read_changes
    from control.service.requests import LaneChanges

    changes = read_changes(LaneChanges, {"weight": weight, "cap": cap, "rate": rate})
    if queue:
        name = _verbs().change_lane(queue, tenant, changes)
        _show(_effective().of_lane(name, tenant), as_json=False)
    else:
        queues = _verbs().change_tenant(tenant, changes)
        typer.echo(f"changed {tenant!r} in {', '.join(queues)}")


def _show(view: "RulesView", as_json: bool) -> None:
    if as_json:
        print_json(view.to_json())
        return
    if view.share:
        typer.echo(f"cap, rate, concurrency and workerRate are shared by the queues of {view.share}")
    rows = []
    for rule in view.rules:
        source: str = rule.source
        if rule.by and rule.at:
            source = f"adjusted by {rule.by} at {rule.at:%Y-%m-%d %H:%M:%S} UTC"
        rows.append((rule.name, _value(rule.value), source))
    print_table(("limit", "value", "from"), rows)


def _verbs() -> "RuleActions":
    from actors import app
    from control.service import RuleActions

    return RuleActions(app, operator(app.settings.home))


def _effective() -> "EffectiveRules":
    from actors import app
    from control.service import EffectiveRules

    return EffectiveRules(app)


def _value(value: bool | int | float | str | None) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value).lower()
