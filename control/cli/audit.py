"""`callboard audit actions`, `clean` and `verify`: what operators did, and the upkeep of the rows."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from control.cli.output import print_json, print_table
from control.cli.reports import AsJson, Limit, Tenant, reports

if TYPE_CHECKING:
    from control.service.audit_reports import Cleaning
    from control.service.audit_views import ActionView, VerificationView

#: How often a long clean-up says how far it is.
LINE_EVERY_S = 2.0


def actions(tenant: Tenant = None, limit: Limit = 50, as_json: AsJson = False) -> None:
    """What operators did, newest first."""
    views = reports().actions(tenant, limit)
    if as_json:
        print_json([view.to_json() for view in views])
        return
    headers = ("began (UTC)", "who", "what", "to", "tenant", "count", "end")
    if views:
        print_table(headers, [_action(one) for one in views])
    else:
        typer.echo("no operator did anything")


def clean(
    older_than: Annotated[str | None, typer.Option(help="Such as 90d; else as the settings say.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only the limit is said.")] = False,
) -> None:
    """Remove rows that are older than they are to be kept, in chunks."""
    from actors import app as platform
    from control.cli.arguments import read_age
    from control.service.audit_reports import Cleaning

    age = read_age("older-than", older_than) if older_than is not None else None
    days = (age.total_seconds() if age else platform.settings.audit.retention / 1000) / 86_400
    typer.echo(f"attempts that were stored more than {days:,.6g} days ago")
    if not yes:
        typer.echo("add --yes to remove them")
        return
    done, said = Cleaning(), time.monotonic()
    try:
        for done in reports().clean_all(age):
            if time.monotonic() - said >= LINE_EVERY_S:
                said = time.monotonic()
                typer.echo(_removed(done))
    finally:  # also after Ctrl-C: what a chunk removed stays removed
        typer.echo(_removed(done))


def verify(
    noted: Annotated[
        list[str] | None, typer.Option(help="A head from before, such as executions=42:… (repeat).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Walk over both chains and say the first place that does not hold; then the exit code is 1."""
    from jobs.errors import InvalidPayload

    try:
        views = reports().verify(noted or ())
    except ValueError as error:
        raise InvalidPayload(f"noted: {error}") from None
    if as_json:
        print_json([view.to_json() for view in views])
    else:
        for view in views:
            _say(view)
    raise typer.Exit(1 if any(view.broken for view in views) else 0)


def _say(view: "VerificationView") -> None:
    if view.broken:
        typer.echo(f"{view.chain}: BROKEN: {view.broken}")
        return
    typer.echo(f"{view.chain}: holds, {view.rows:,} rows in {view.links:,} links; its head is {view.head}")
    if view.before:
        typer.echo(f"  {view.before:,} rows are older than the chain, which does not cover them")
    if not view.keyed:
        typer.echo("  made without a key (audit.key): whoever can write to the database can make it anew")


def _removed(done: "Cleaning") -> str:
    return f"removed {done.executions:,} attempts and {done.actions:,} rows of what operators did"


def _action(one: "ActionView") -> tuple[str, ...]:
    ended = one.result or ("failed" if one.failed else "done")
    return (
        f"{one.began_at:%Y-%m-%d %H:%M:%S}",
        one.operator,
        one.action,
        one.target or "",
        one.tenant_id or "",
        "" if one.count is None else f"{one.count:,}",
        ended if one.ended_at else "unknown",
    )
