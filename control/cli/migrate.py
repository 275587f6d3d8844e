"""`callboard migrate`."""

import typer


def migrate() -> None:
    """Bring the database to this release. Safe to run at any time, by several at once."""
    from actors.composition import compose
    from database.migrations import migrate as bring_up

    changed = bring_up(compose().engine())
    typer.echo("the database has the tables of this release" + ("" if changed else " already"))
