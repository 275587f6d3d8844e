"""`callboard limits` and `callboard providers`."""

from typing import TYPE_CHECKING, Annotated

import typer

from control.cli.operator import operator
from control.cli.output import print_json, print_table

if TYPE_CHECKING:
    from control.service import LimitService
    from control.service.limit_views import LimitsView

app = typer.Typer(help="See and change limits that count while jobs run.", no_args_is_help=True)
providers = typer.Typer(help="See providers, and close their breakers.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The limit.", show_default=False)]
Tenant = Annotated[str | None, typer.Option(help="Only this tenant.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_limits(
    tenant: Tenant = None,
    name: Annotated[str | None, typer.Option(help="Only this one.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(help="How many counters.", min=1, max=1000)] = 100,
    after: Annotated[str | None, typer.Option(help="Go on where another list ended.")] = None,
    as_json: AsJson = False,
) -> None:
    """All limits as they hold now, and how their counters stand."""
    _show(_service().read(tenant, name, limit, after), as_json)


@app.command("set")
def change(
    name: Name,
    tenant: Tenant = None,
    limit: Annotated[str | None, typer.Option(help="How many, or settings.")] = None,
    per: Annotated[str | None, typer.Option(help="In how long, such as 1min, or settings.")] = None,
    burst: Annotated[str | None, typer.Option(help="At once, or settings.")] = None,
) -> None:
    """Change a limit at once, over all workers; `settings` lets a number follow the settings again."""
    from control.cli.arguments import read_limit_change

    changes = read_limit_change({"limit": limit, "per": per, "burst": burst})
    _show(_service().change(name, tenant, changes.for_store()), as_json=False)


@app.command()
def reset(name: Name, tenant: Tenant = None) -> None:
    """Let a limit follow the settings again."""
    _show(_service().forget(name, tenant), as_json=False)


@providers.command("list")
def list_providers(as_json: AsJson = False) -> None:
    """The providers of the settings, and those that an actor names."""
    views = _service().providers()
    if as_json:
        print_json([view.to_json() for view in views])
    elif views:
        rows = [
            (
                view.provider,
                view.state,
                f"{view.open_until:%H:%M:%S} UTC" if view.open_until else "",
                str(view.failures),
                f"{view.share:.0%}",
                f"{view.allowed} of {view.rate} in {_span(view.per_ms)}" if view.rate else "",
                "" if view.used is None else str(view.used),
                str(view.waiting),
            )
            for view in views
        ]
        heads = ("provider", "breaker", "open until", "failures", "share", "rate", "used", "waiting")
        print_table(heads, rows)
    else:
        typer.echo("no actor names a provider, and the settings name none")


@providers.command("reset")
def reset_provider(name: Annotated[str, typer.Argument(help="The provider.", show_default=False)]) -> None:
    """Close a provider's breaker and give it its whole rate; what waits for it goes on."""
    _service().reset(name)
    typer.echo(f"{name} is closed")


def _show(view: "LimitsView", as_json: bool) -> None:
    if as_json:
        print_json(view.to_json())
        return
    if not view.rules:
        typer.echo("the settings hold no limits; write [limits.NAME]")
        return
    rules = [
        (
            one.limit,
            one.tenant_id or "",
            one.by,
            one.algorithm,
            str(one.allowed),
            _span(one.per_ms),
            ", ".join(one.changed),
        )
        for one in view.rules
    ]
    print_table(("limit", "tenant", "by", "algorithm", "allowed", "per", "changed"), rules)
    if view.counters:
        counters = [
            (one.limit, one.whose, str(one.used), str(one.left), _span(one.reset_ms), str(one.waiting))
            for one in view.counters
        ]
        print_table(("limit", "of", "used", "left", "all free in", "waiting"), counters)
    if view.next:
        typer.echo(f"there is more: --after {view.next}")


def _span(ms: int | None) -> str:
    return "" if ms is None else f"{ms / 1000:g}s"


def _service() -> "LimitService":
    from actors import app as platform
    from control.service import LimitService

    return LimitService(platform, operator(platform.settings.home))
