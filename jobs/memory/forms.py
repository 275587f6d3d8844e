"""A job on its way in, in the store, and on its way out."""

from jobs.model import FetchedJob, Job, NewJob
from jobs.states import JobState


def new_job(new: NewJob, now: int, due: int) -> Job:
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
        due_at=due if delayed else None,
        ready_at=None if delayed else now,
        started_at=None,
        finished_at=None,
        owner=None,
        dead_letter=None,
        payload=new.payload,
        record=None,
        progress=None,
    )


def as_fetched(job: Job) -> FetchedJob:
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
    )
