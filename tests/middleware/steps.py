"""Words for the tests of the middleware."""

from typing import Any

import dramatiq
import orjson

from actors.composition import App
from broker.testing import FakeJobs
from jobs.events import AttemptDetail
from jobs.model import Event, Job, NewJob


def job_of(jobs: FakeJobs, message: "dramatiq.Message[Any] | str") -> Job:
    job = jobs.store.get(message if isinstance(message, str) else message.message_id)
    assert job is not None
    return job


def error_of(jobs: FakeJobs, message: "dramatiq.Message[Any] | str") -> dict[str, Any]:
    record: dict[str, Any] = orjson.loads(job_of(jobs, message).record or b"{}")
    return dict(record["error"])


def put_unchecked(app: App, message: "dramatiq.Message[Any]", attempts: int = 3) -> str:
    """Put a job into its queue as another release did, past every check; its id."""
    payload = app.broker.codec.encode(message)
    new = NewJob(
        id=message.message_id,
        queue=message.queue_name,
        actor=message.actor_name,
        payload=payload,
        max_attempts=attempts,
    )
    app.broker.accept([new])
    return message.message_id


def events(jobs: FakeJobs) -> list[Event]:
    """The attempts that ended since this was asked last."""
    batch = jobs.store.read_events("test", "test")
    jobs.store.ack_events("test", [event.id for event in batch.events])
    return batch.events


def details(jobs: FakeJobs) -> list[AttemptDetail]:
    return [AttemptDetail.from_bytes(event.detail) for event in events(jobs)]
