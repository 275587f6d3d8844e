"""A real application with three small actors, over whatever store a test wants."""

import uuid
from pathlib import Path
from typing import Any

import dramatiq

from actors.composition import App, compose
from jobs.model import FetchRequest, Outcome, Verdict
from jobs.store import JobStore
from settings import Settings


def small_app(store: JobStore, home: Path, **settings: Any) -> App:
    """The composed application with a home of its own and none of the house's actors."""
    app = compose(Settings(home=home, **settings), store)
    for function, queue in ((email_sync, "email-sync"), (email_draft, "email-draft"), (count, "count")):
        dramatiq.actor(function, queue_name=queue, broker=app.broker)
    return app


def email_sync(user_id: str, account_id: str, full: bool = False) -> None:
    """Bring a mailbox up to date."""


def email_draft(thread_id: str) -> None:
    """Write a reply."""


def count(upto: int) -> None:
    """Count."""


def work(store: JobStore, queue: str, outcome: Outcome = Outcome.COMPLETED, record: bytes = b"{}") -> str:
    """Take the next job of a queue as a worker would, and settle it; its id."""
    (job,) = store.fetch(FetchRequest("w1", uuid.uuid4().hex, 1, {queue: 1})).jobs
    verdict = Verdict(job.id, job.token, outcome, record=record, dead_letter="dead-letter")
    store.settle("w1", [verdict])
    return job.id
