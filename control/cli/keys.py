"""`callboard keys`: the fleet's keys, and the end of a tenant's data."""

import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from control.cli.operator import operator
from control.cli.output import print_json, print_table

if TYPE_CHECKING:
    from control.service.keys import KeyActions

app = typer.Typer(help="The keys that sign and encrypt jobs.", no_args_is_help=True)

Tenant = Annotated[str, typer.Argument(help='The tenant; "" means the jobs without one.', show_default=False)]


@app.command()
def new(
    to_file: Annotated[bool, typer.Option("--file", help="Write keys.json of the home folder.")] = False,
) -> None:
    """Make a key and print it, for the settings of every process."""
    if to_file:
        if not _keys().first():
            typer.echo("there are keys already; `callboard keys rotate` adds one")
            raise typer.Exit(1)
        typer.echo("made key 1; keep a copy of the file elsewhere: without it nothing sealed opens")
        return
    from middleware.sealing.ring_file import new_key
    from settings import key_text

    typer.echo(key_text(new_key()))
    typer.echo(
        "give it to every process as CALLBOARD_KEYS__RING__1 (or keys.ring in callboard.toml), the next one "
        "as CALLBOARD_KEYS__RING__2, and keep a copy: without it nothing sealed opens",
        err=True,
    )


@app.command("list")
def list_keys(
    count: Annotated[
        bool, typer.Option("--count", help="Look through all jobs for who needs which.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """The versions that there are."""
    versions = _keys().versions(count=count)
    if as_json:
        print_json([one.model_dump(by_alias=True, exclude_none=True) for one in versions])
        return
    rows = []
    for one in versions:
        used = "closes" if one.closes else "opens"
        if one.used_from is not None:
            used = f"closes from {time.strftime('%H:%M:%S', time.gmtime(one.used_from))} UTC on"
        rows.append((str(one.number), used, "" if one.needed is None else f"{one.needed:,}"))
    print_table(("key", "", "needed by" if count else ""), rows)


@app.command()
def rotate(
    reseal: Annotated[
        bool, typer.Option("--reseal", help="Only bring everything over to the key that closes now.")
    ] = False,
) -> None:
    """Take a new key into use, then seal anew what waits; nothing stops meanwhile."""
    keys = _keys()
    if not reseal:
        added = keys.add()
        wait = max(0.0, (added.used_from or 0.0) - time.time())
        typer.echo(f"key {added.number} is there; in {wait:.0f} s all processes have read it and use it")
        time.sleep(wait + 1)
    unreadable = 0
    looked, done = Counter[str](), Counter[str]()
    for chunk in keys.reseal():
        looked[chunk.what] += chunk.looked
        done[chunk.what] += chunk.done
        unreadable += chunk.unreadable
        typer.echo(f"{chunk.what}: {looked[chunk.what]:,} looked at, {done[chunk.what]:,} sealed anew")
    if unreadable:
        typer.echo(
            f"{unreadable:,} do not open: they are forged, their tenant's key was shredded, or their key is "
            "not here"
        )
    typer.echo("done; `callboard keys retire` gives up the old key once nothing needs it")


@app.command()
def retire(number: Annotated[int, typer.Argument(help="The version.", show_default=False)]) -> None:
    """Give up an old version; refused while anything needs it."""
    _keys().retire(number)
    typer.echo(f"key {number} is gone")


@app.command()
def shred(
    tenant: Tenant,
    confirm: Annotated[str, typer.Option(help="The tenant's id once more.", show_default=False)],
) -> None:
    """Delete a tenant's key: all of its encrypted data is unreadable for ever, copies and backups too."""
    done = _keys().shred(tenant, confirm)
    word = "shredded" if done else "no key was there, and none will be made, for"
    typer.echo(f"{word} {tenant!r}; a running process forgets its key within a few seconds")


@app.command()
def restore(tenant: Tenant) -> None:
    """Give a shredded tenant a new key, for new jobs; its old data stays unreadable."""
    if not _keys().restore(tenant):
        typer.echo(f"the key of {tenant!r} was not shredded")
        raise typer.Exit(1)
    typer.echo(f"{tenant!r} has a new key; what was shredded stays unreadable")


def _keys() -> "KeyActions":
    from actors import app as platform
    from control.service.keys import KeyActions

    return KeyActions(platform, operator(platform.settings.home))
