"""What the tests about sealed jobs move, and where they look afterwards."""

from typing import Any

import dramatiq
import pytest

from actors.composition import App
from actors.declare import actor
from jobs.model import Job
from tests.waiting import eventually


@pytest.fixture
def ran() -> list[str]:
    return []


@pytest.fixture
def transfer(real_app: App, ran: list[str]) -> "dramatiq.Actor[..., Any]":
    @actor(queue="transfer", attempts=1)
    def transfer(account: str, amount: int) -> int:
        ran.append(account)
        return amount

    return transfer


def settled(app: App, job_id: str) -> Job:
    def look() -> Job | None:
        job = app.store.get(job_id)
        return job if job is not None and job.state.settled else None

    return eventually(look)


def stored(app: App, job_id: str) -> Job:
    job = app.store.get(job_id)
    assert job is not None
    return job


def rows(app: App, columns: str) -> list[tuple[Any, ...]]:
    """The audit's rows."""
    with app.engine().connect() as connection:
        found = connection.exec_driver_sql(f"SELECT {columns} FROM job_executions")
        return [tuple(row) for row in found]
