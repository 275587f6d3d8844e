"""Translation between the packed forms that the scripts write and the types of `jobs`."""

from typing import Any

import msgpack
import orjson

from jobs.model import (
    Event,
    FetchedJob,
    Job,
    NewJob,
    Outcome,
    QueueStats,
    Verdict,
    WorkerInfo,
)
from jobs.states import JobState

#: Looking up bytes is a third of the cost of decoding and calling the enum.
_OUTCOMES = {outcome.value.encode(): outcome for outcome in Outcome}
_STATES = {state.value.encode(): state for state in JobState}


def pack_job(job: NewJob, wake_number: int) -> bytes:
    """A job for enqueue.lua. `wake_number` counts the queues of the call from 1."""
    return _pack(
        [
            job.id,
            job.queue,
            job.actor,
            job.lane,
            job.priority,
            job.max_attempts,
            max(0, job.delay_ms),
            -1 if job.run_at_ms is None else max(0, job.run_at_ms),
            job.payload,
            wake_number,
            job.dead_letter,
        ]
    )


def pack_verdict(verdict: Verdict) -> bytes:
    """A verdict for settle.lua."""
    return _pack(
        [
            verdict.id,
            verdict.token,
            verdict.outcome,
            verdict.delay_ms,
            verdict.record if verdict.record is not None else False,
            verdict.detail,
            verdict.progress if verdict.progress is not None else False,
            verdict.dead_letter,
            -1 if verdict.keep is None else verdict.keep,
            verdict.remove,
        ]
    )


def unpack_fetched(job_id: bytes, record: bytes, payload: bytes) -> FetchedJob:
    fields = msgpack.unpackb(record)
    return FetchedJob(
        id=job_id.decode(),
        queue=fields[1],
        actor=fields[2],
        payload=payload,
        token=fields[9],
        attempt=fields[8],
        max_attempts=fields[7],
        priority=fields[4],
        lane=fields[3],
        lost_leases=fields[15],
        created_at=fields[6],
        ready_at=fields[10],
        started_at=fields[12],
    )


def unpack_job(
    job_id: bytes, record: bytes, payload: bytes, outcome: bytes | None, progress: bytes | None
) -> Job:
    fields = msgpack.unpackb(record)
    return Job(
        id=job_id.decode(),
        queue=fields[1],
        actor=fields[2],
        lane=fields[3],
        state=JobState(fields[0]),
        priority=fields[4],
        attempts=fields[8],
        max_attempts=fields[7],
        deliveries=fields[9],
        lost_leases=fields[15],
        interruptions=fields[16],
        created_at=fields[6],
        due_at=fields[11] or None,
        ready_at=fields[10] or None,
        started_at=fields[12] or None,
        finished_at=fields[13] or None,
        owner=fields[14] or None,
        dead_letter=fields[18] if fields[0] == JobState.FAILED else None,
        payload=payload,
        record=outcome,
        progress=progress,
    )


def unpack_event(event_id: bytes, packed: bytes) -> Event:
    # `detail` is bytes of the worker's making; everything else is text or number.
    fields = msgpack.unpackb(packed, raw=True)
    return Event(
        id=event_id.decode(),
        job_id=fields[0].decode(),
        queue=fields[1].decode(),
        actor=fields[2].decode(),
        lane=fields[3].decode(),
        outcome=_OUTCOMES[fields[4]],
        state=_STATES[fields[5]],
        attempt=fields[6],
        token=fields[7],
        owner=fields[8].decode(),
        created_at=fields[9],
        ready_at=fields[10],
        started_at=fields[11],
        finished_at=fields[12],
        detail=fields[13],
    )


def unpack_stats(queue: str, row: list[int]) -> QueueStats:
    (
        waiting,
        delayed,
        active,
        completed,
        failed,
        cancelled,
        dead,
        completed_ever,
        failed_ever,
        retries,
        oldest,
    ) = row
    return QueueStats(
        queue=queue,
        waiting=waiting,
        active=active,
        delayed=delayed,
        completed=completed,
        failed=failed,
        cancelled=cancelled,
        dead_letters=dead,
        completed_total=completed_ever,
        failed_total=failed_ever,
        retries=retries,
        oldest_waiting_ms=None if oldest < 0 else oldest,
    )


def pack_worker(worker: WorkerInfo) -> bytes:
    return orjson.dumps(worker)


def unpack_worker(info: bytes, lease_until: int) -> WorkerInfo:
    # Of any release: what this one does not know is passed over.
    fields = {name: value for name, value in orjson.loads(info).items() if name in WorkerInfo.__slots__}
    return WorkerInfo(**{**fields, "queues": tuple(fields["queues"]), "lease_until": lease_until})


def _pack(fields: list[Any]) -> bytes:
    # The old raw type serves text and bytes alike, which is all that a Lua string knows.
    packed: bytes = msgpack.packb(fields, use_bin_type=False)
    return packed
