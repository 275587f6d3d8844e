"""`callboard config`."""

from typing import Annotated

import typer

from control.cli.output import print_json, print_table

app = typer.Typer(help="The settings.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The settings."""


@app.command()
def show(
    under: Annotated[str, typer.Argument(help="Only keys that start so, such as queues.email-sync.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show every effective value, with secrets masked, and where it came from."""
    from jobs.errors import CallboardError
    from settings import describe, load_settings

    lines = describe(load_settings(), under)
    if not lines:
        raise CallboardError(f"no setting starts with {under!r}; 'callboard config show' lists them all")
    if as_json:
        print_json([line._asdict() for line in lines])
    else:
        print_table(("key", "value", "from"), lines)
