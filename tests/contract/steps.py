"""Words for the contract tests."""

import uuid
from collections.abc import Sequence

from jobs.model import Fetched, FetchedJob, FetchRequest, NewJob, Outcome, Settled, Verdict
from jobs.store import JobStore

QUEUE = "email-sync"


def a_job(job_id: str | None = None, *, queue: str = QUEUE, **changes: object) -> NewJob:
    fields = {"id": job_id or uuid.uuid4().hex, "queue": queue, "actor": "email_sync", "payload": b"{}"}
    return NewJob(**{**fields, **changes})  # type: ignore[arg-type]


def fetch(
    store: JobStore,
    owner: str = "worker-1",
    *,
    credits: int = 10,
    queues: Sequence[str] = (QUEUE,),
    each: int = 10,
    cap: int | None = None,
    token: str | None = None,
    lease_ms: int = 15_000,
) -> Fetched:
    shares = dict.fromkeys(queues, (each, cap))
    return store.fetch(FetchRequest(owner, token or uuid.uuid4().hex, credits, shares, lease_ms))


def settle(
    store: JobStore, job: FetchedJob, outcome: Outcome, owner: str = "worker-1", **changes: object
) -> Settled:
    verdict = Verdict(job.id, job.token, outcome, **changes)  # type: ignore[arg-type]
    return store.settle(owner, [verdict])[0]


def ids(fetched: Fetched) -> list[str]:
    return [job.id for job in fetched.jobs]
