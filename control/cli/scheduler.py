"""`callboard scheduler`."""

import typer


def scheduler() -> None:
    """Run the scheduler, the same as `python -m scheduling`. Any number of them may run: one fires."""
    from actors import app
    from scheduling.process import run_scheduler

    raise typer.Exit(run_scheduler(app))
