"""`callboard up`."""

from typing import Annotated

import typer


def up(
    workers: Annotated[int, typer.Option(min=0, max=64, help="Worker processes to start.")] = 1,
) -> None:
    """Run server, workers, scheduler and API here until Ctrl-C, which lets running jobs finish."""
    from actors import app
    from control.supervisor.up import run

    run(app, workers)
