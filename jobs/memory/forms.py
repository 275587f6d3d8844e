"""A job on its way in, in the store, and on its way out."""

import orjson

from jobs.model import LAST_TIME, FetchedJob, Job, NewJob
from jobs.states import JobState


def new_job(new: NewJob, now: int) -> Job:
    due = new.run_at_ms if new.run_at_ms is not None else now + new.delay_ms
    delayed = due > now
    return Job(
        id=new.id,
        queue=new.queue,
        actor=new.actor,
        lane=new.lane,
        state=JobState.DELAYED if delayed else JobState.WAITING,
        priority=new.priority,
        attempts=0,
        max_attempts=new.max_attempts,
        deliveries=0,
        lost_leases=0,
        interruptions=0,
        created_at=now,
        due_at=min(due, LAST_TIME) if delayed else None,
        ready_at=None if delayed else now,
        started_at=None,
        finished_at=None,
        owner=None,
        dead_letter=None,
        gate=new.gate,
        cancel_requested=False,
        held_until=None,
        held_reason="",
        payload=new.payload,
        record=None,
        progress=None,
    )


def as_fetched(job: Job, settled: int, *, begun: bool) -> FetchedJob:
    return FetchedJob(
        id=job.id,
        queue=job.queue,
        actor=job.actor,
        payload=job.payload,
        token=job.deliveries,
        attempt=job.attempts,
        max_attempts=job.max_attempts,
        priority=job.priority,
        lane=job.lane,
        lost_leases=job.lost_leases,
        created_at=job.created_at,
        ready_at=job.ready_at or 0,
        started_at=job.started_at or 0,
        settled=settled,
        begun=begun,
    )


def failure(kind: str, message: str) -> bytes:
    """The record of a job that no actor ended."""
    return orjson.dumps({"error": {"type": kind, "message": message}})
