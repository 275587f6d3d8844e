"""`callboard demo`."""

import typer


def demo() -> None:
    """See the whole product at work in about a minute."""
    from control.demo.run import main

    raise typer.Exit(main())
