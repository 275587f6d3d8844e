"""`callboard config`."""

from typing import TYPE_CHECKING, Annotated

import typer

from control.cli.output import print_json, print_table

if TYPE_CHECKING:
    from settings import ConfigLine

#: The catalogue's tables: a thousand values that few people look at.
TABLES = ("queues", "groups", "aliases", "schedules")

app = typer.Typer(help="The settings.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The settings."""


@app.command()
def show(
    under: Annotated[str, typer.Argument(help="Only keys that start so, such as queues.email-sync.")] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Also the built-in tables at their defaults.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print every value as JSON.")] = False,
) -> None:
    """Show the effective values, with secrets masked, and where each came from."""
    from jobs.errors import CallboardError
    from settings import describe, load_settings

    lines = describe(load_settings(), under)
    if not lines:
        raise CallboardError(f"no setting starts with {under!r}; 'callboard config show' lists them all")
    if as_json:
        print_json([line._asdict() for line in lines])
        return
    shown = lines if under or everything else [line for line in lines if not _of_a_table(line)]
    print_table(("key", "value", "from"), shown)
    if len(shown) < len(lines):
        hidden = len(lines) - len(shown)
        typer.echo(
            f"and {hidden} values of the built-in tables ({', '.join(TABLES)}) as they come: see --all"
        )


@app.command()
def stack(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the middleware that each job passes here, the first one outermost, and where each comes from."""
    from actors import app as platform

    mine = {id(layer.middleware) for layer in platform.layers}
    own = [one for one in platform.broker.middleware if id(one) not in mine]
    rows = [("", _class_of(one), "broker", "what a worker process lives by; always there") for one in own]
    rows += [(one.place, _class_of(one.middleware), one.source, one.reason) for one in platform.layers]
    if as_json:
        print_json([dict(zip(("place", "class", "from", "why"), row, strict=True)) for row in rows])
    else:
        print_table(("place", "class", "from", "why it stands there"), rows)


def _class_of(middleware: object) -> str:
    kind = type(middleware)
    return "" if middleware is None else f"{kind.__module__}.{kind.__qualname__}"


def _of_a_table(line: "ConfigLine") -> bool:
    return line.source == "default" and line.key.partition(".")[0] in TABLES
