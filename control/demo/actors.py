"""Actors of the demo alone. Its workers load them too: `dramatiq actors control.demo.actors`."""

import time
from pathlib import Path
from typing import Annotated

from actors import app
from actors.declare import actor
from jobs.marks import PII, Secret
from middleware.cancellation import on_cancel
from middleware.current import current_job
from middleware.progress import progress
from middleware.steps import step

ROW_S = 0.05


@actor
def demo_contract(customer: Annotated[str, PII], account: Annotated[str, Secret]) -> str:
    """Draw up a contract; says who it is for and how the account ends."""
    progress(50, message=f"drawing up the contract of {customer}")
    return f"a contract for {customer}, account ending in {account[-4:]}"


@actor
def demo_import(rows: int) -> int:
    """Copy rows into a file; a cancellation takes away what was written."""
    file = half_written()
    file.parent.mkdir(exist_ok=True)
    on_cancel(file.unlink)
    with file.open("w") as out:
        for row in range(rows):
            out.write(f"row {row}\n")
            out.flush()
            progress(row + 1, rows)
            time.sleep(ROW_S)
    return rows


@actor
def demo_onboarding(customer: str) -> list[str]:
    """Three steps. The mail server is away when the first attempt comes to the third."""
    done = [step("account", _noted, "account", customer), step("contract", _noted, "contract", customer)]
    job = current_job()
    if job is not None and job.attempt == 1:
        raise ConnectionError("the mail server does not answer")
    return [*done, step("welcome", _noted, "welcome", customer)]


def half_written() -> Path:
    """What `demo_import` writes."""
    return app.settings.home / "import" / "rows.part"


def runs_of_steps() -> list[str]:
    """The name of a step for each time that it ran, in order."""
    return _ledger().read_text().split() if _ledger().exists() else []


def _noted(name: str, customer: str) -> str:
    with _ledger().open("a") as ledger:
        ledger.write(f"{name}\n")
    return f"{name} of {customer}"


def _ledger() -> Path:
    return app.settings.home / "steps.txt"
