"""`callboard cache` and `callboard blobs`: results that are known, and arguments that are large."""

from typing import TYPE_CHECKING, Annotated

import typer

from control.cli.operator import operator

if TYPE_CHECKING:
    from jobs.blobs import Swept

app = typer.Typer(help="Results that answer for later jobs.", no_args_is_help=True)
blobs = typer.Typer(help="Arguments that are too large for Redis.", no_args_is_help=True)


@app.callback()
def _cache() -> None:
    """Results that answer for later jobs."""


@blobs.callback()
def _blobs() -> None:
    """Arguments that are too large for Redis."""


@app.command()
def clear(
    actor: Annotated[str, typer.Argument(help="The actor whose results are forgotten.", show_default=False)],
    tenant: Annotated[str | None, typer.Option(help='Only of this tenant; "" means of none.')] = None,
) -> None:
    """Forget the cached results of an actor: its next jobs run."""
    from actors import app as platform
    from control.service.outcomes import CacheActions, CacheRequest

    request = CacheRequest(actor=actor, tenant_id=tenant)
    done = CacheActions(platform, operator(platform.settings.home)).clear(request)
    typer.echo(f"{done.cleared:,} result{'' if done.cleared == 1 else 's'} of {actor} forgotten")


@blobs.command()
def sweep() -> None:
    """Remove blobs whose job is gone, in chunks. Ctrl-C ends it after the chunk that is under way."""
    from actors import app as platform
    from control.service.outcomes import BlobActions
    from jobs.blobs import Swept

    done = Swept()
    try:
        for done in BlobActions(platform, operator(platform.settings.home)).sweep():
            if done.removed:
                typer.echo(_words(done))
    finally:
        typer.echo(f"done: {_words(done)}")


def _words(done: "Swept") -> str:
    return f"looked at {done.looked:,} blobs, removed {done.removed:,} ({done.bytes:,} bytes)"
