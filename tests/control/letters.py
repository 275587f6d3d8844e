"""A board of actors that fail for causes of their own, and the means to mend them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs, fake
from control.service.requests import DeadLetterFilter
from jobs.errors import PermanentError
from jobs.states import JobState
from tests.fundamentals.stage import make_app
from tests.sealed import KEYS
from tests.tables import give_tables


class Bank:
    """What the actor `charge` talks to. `broken` are the customers whom it refuses, None all of them; for the
    `odd` it fails in another way."""

    def __init__(self) -> None:
        self.broken: set[str] | None = None
        self.odd: set[str] = set()
        self.otherwise = False
        self.charged: list[tuple[str, int]] = []

    def take(self, customer: str, cents: int) -> None:
        if self.broken is None or customer in self.broken:
            raise PermanentError("the bank said no")
        if self.otherwise or customer in self.odd:
            raise ZeroDivisionError
        self.charged.append((customer, cents))


class Board:
    """An application in memory, with dead letters."""

    def __init__(self, app: App, jobs: FakeJobs, bank: Bank, charge: Any, refund: Any) -> None:
        self.app, self.jobs, self.bank, self.charge, self.refund = app, jobs, bank, charge, refund

    def send(self, number: int, start: int = 0, **options: Any) -> list[str]:
        """Send `charge` for so many customers."""
        pairs = range(start, start + number)
        return [
            self.charge.send_with_options(args=(f"c{n}",), kwargs={"cents": 100}, **options).message_id
            for n in pairs
        ]

    def die(self, number: int, start: int = 0, **options: Any) -> list[str]:
        """Send them and have them fail for good; then a moment passes."""
        ids = self.send(number, start, **options)
        self.jobs.run_all()
        self.jobs.advance(1)
        return ids

    def state(self, job_id: str) -> JobState | None:
        job = self.jobs.store.get(job_id)
        return None if job is None else job.state

    def runs(self, job_id: str) -> int:
        """How often it was delivered."""
        job = self.jobs.store.get(job_id)
        return 0 if job is None else job.deliveries

    def states(self, ids: list[str]) -> dict[JobState | None, int]:
        found: dict[JobState | None, int] = {}
        for job_id in ids:
            state = self.state(job_id)
            found[state] = found.get(state, 0) + 1
        return found

    def newest(self) -> int:
        jobs = self.jobs.store.list_jobs("charge", JobState.FAILED, 10_000)
        return max((job.finished_at or 0 for job in jobs), default=0)

    def wanted(self, **given: Any) -> DeadLetterFilter:
        return DeadLetterFilter(**given)


@contextmanager
def a_board(monkeypatch: pytest.MonkeyPatch, home: Path, **settings: Any) -> Iterator[Board]:
    app = make_app(monkeypatch, home=home, **{"keys": KEYS, **settings})
    give_tables(app.engine())
    bank = Bank()

    @actor(attempts=1)
    def charge(customer: str, cents: int = 1) -> None:
        bank.take(customer, cents)

    @actor(attempts=1)
    def refund(customer: str) -> None:
        raise LookupError("no such payment")

    with fake(app.broker) as jobs:
        yield Board(app, jobs, bank, charge, refund)
    app.engine().dispose()
