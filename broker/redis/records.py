"""Translation between the packed forms that the scripts write and the types of `jobs`."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgpack
import orjson

from jobs.adjustments import check_adjustments
from jobs.model import (
    Cancelled,
    Event,
    FetchedJob,
    Job,
    LaneStats,
    NewJob,
    Outcome,
    QueueStats,
    Scope,
    Standing,
    Verdict,
    WorkerInfo,
)
from jobs.rules import QueueRules, Rate
from jobs.states import JobState

#: Looking up bytes is a third of the cost of decoding and calling the enum.
_OUTCOMES = {outcome.value.encode(): outcome for outcome in Outcome}
_STATES = {state.value.encode(): state for state in JobState}
CANCELLED = {word.value[0].encode(): word for word in Cancelled}

SEP = "\x1f"
#: What most jobs have is written short: the description is kept with every job that waits.
_DEFAULT_DEAD_LETTER = "dead-letter"

#: The fields of a record in the order of lua/includes/record.lua.
(
    STATE,
    QUEUE,
    ACTOR,
    LANE,
    GATE,
    PRIORITY,
    PLACE,
    CREATED,
    MAX_ATTEMPTS,
    DEAD_LETTER,
    UNIQUE,
    UNIQUE_MODE,
    UNIQUE_TTL,
    MARKER,
    ATTEMPTS,
    DELIVERIES,
    READY,
    DUE,
    STARTED,
    FINISHED,
    OWNER,
    LOST,
    INTERRUPTIONS,
    SETTLED,
    CANCEL,
    CHARGE,
    BAND,
    SHARE,
    RATED,
    REASON,
    BEGUN,  # only of a job that was held or cut short
) = range(31)


def pack_job(job: NewJob, wake_number: int) -> tuple[str, bytes, bytes]:
    """A job for enqueue.lua: id, description, payload. `wake_number` counts the queues of the call from 1."""
    unique = job.unique
    description = _pack(
        [
            job.queue,
            job.actor,
            job.lane,
            job.gate,
            job.priority,
            job.max_attempts,
            "" if job.dead_letter == _DEFAULT_DEAD_LETTER else job.dead_letter,
            "" if unique is None else f"{job.lane}{SEP}{job.actor}{SEP}{unique.key}",
            "" if unique is None else unique.mode,
            0 if unique is None else unique.ttl_ms,
            job.marker_ms,
            max(0, job.delay_ms),
            -1 if job.run_at_ms is None else max(0, job.run_at_ms),
            wake_number,
        ]
    )
    return job.id, description, job.payload


def pack_verdict(verdict: Verdict) -> bytes:
    """A verdict for settle.lua.

    One that has no packed form (a middleware made it) is a failure instead: raising would end the thread
    that sends the verdicts of all jobs, and with it the process.
    """
    try:
        return _pack(_fields_of(verdict))
    except (TypeError, ValueError, OverflowError) as error:
        problem = {"type": type(error).__name__, "message": "its verdict has no packed form", "stack": []}
        record = orjson.dumps({"error": problem})
        return _pack(_fields_of(Verdict(verdict.id, verdict.token, Outcome.FAILED, record=record)))


def _fields_of(verdict: Verdict) -> list[Any]:
    fields = [
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
        verdict.rests,
        verdict.reason,
    ]
    if verdict.follow or verdict.result_ms or verdict.unspent or verdict.cache:
        fields += [verdict.result_ms, [part for job in verdict.follow for part in pack_job(job, 0)]]
    if verdict.unspent or verdict.cache:
        fields.append(verdict.unspent)
    if verdict.cache:
        fields.append(list(verdict.cache))
    return fields


def unpack_fetched(job_id: bytes, record: bytes, payload: bytes) -> FetchedJob:
    fields = msgpack.unpackb(record)
    return FetchedJob(
        job_id.decode(),
        fields[QUEUE],
        fields[ACTOR],
        payload,
        fields[DELIVERIES],
        fields[ATTEMPTS],
        fields[MAX_ATTEMPTS],
        fields[PRIORITY],
        fields[LANE],
        fields[LOST],
        fields[CREATED],
        fields[READY],
        fields[STARTED],
        fields[SETTLED],
        len(fields) > BEGUN and fields[BEGUN] == 1,
    )


def unpack_jobs(reply: Sequence[Any]) -> list[Job]:
    """Jobs as get, list and scan answer them: five parts each."""
    return [_unpack_job(*reply[i : i + 5]) for i in range(0, len(reply), 5) if reply[i]]


def _unpack_job(
    job_id: bytes, record: bytes, payload: bytes, outcome: bytes | None, progress: bytes | None
) -> Job:
    fields = msgpack.unpackb(record)
    state = JobState(fields[STATE])
    return Job(
        id=job_id.decode(),
        queue=fields[QUEUE],
        actor=fields[ACTOR],
        lane=fields[LANE],
        state=state,
        priority=fields[PRIORITY],
        attempts=fields[ATTEMPTS],
        max_attempts=fields[MAX_ATTEMPTS],
        deliveries=fields[DELIVERIES],
        lost_leases=fields[LOST],
        interruptions=fields[INTERRUPTIONS],
        created_at=fields[CREATED],
        due_at=fields[DUE] or None if state is JobState.DELAYED else None,
        ready_at=fields[READY] or None,
        started_at=fields[STARTED] or None,
        finished_at=fields[FINISHED] or None,
        owner=fields[OWNER] or None,
        dead_letter=fields[DEAD_LETTER] if state is JobState.FAILED else None,
        gate=fields[GATE],
        cancel_requested=bool(fields[CANCEL]),
        held_until=fields[DUE] or None if state is JobState.WAITING else None,
        held_reason=fields[REASON] if state is JobState.WAITING and fields[DUE] else "",
        payload=payload,
        record=outcome,
        progress=progress,
        cancel_reason=fields[REASON] if fields[CANCEL] else "",
    )


def unpack_events(entry_id: bytes, packed: bytes) -> list[Event]:
    """The events of one stream entry."""
    # `detail` is bytes of the worker's making; everything else is text or number.
    position = entry_id.decode()
    return [
        Event(
            f"{position}/{number}",
            fields[0].decode(),
            fields[1].decode(),
            fields[2].decode(),
            fields[3].decode(),
            _OUTCOMES[fields[4]],
            _STATES[fields[5]],
            fields[6],
            fields[7],
            fields[8].decode(),
            fields[9],
            fields[10],
            fields[11],
            fields[12],
            fields[13],
        )
        for number, fields in enumerate(msgpack.unpackb(packed, raw=True))
    ]


def unpack_stats(queue: str, row: list[int]) -> QueueStats:
    return QueueStats(
        queue=queue,
        waiting=row[0],
        delayed=row[1],
        active=row[2],
        completed=row[3],
        failed=row[4],
        cancelled=row[5],
        dead_letters=row[6],
        completed_total=row[7],
        failed_total=row[8],
        retries=row[9],
        oldest_waiting_ms=None if row[10] < 0 else row[10],
        resting=row[11],
        paused=bool(row[12]),
        completed_per_minute=row[13] / 1000,
        failed_per_minute=row[14] / 1000,
    )


def unpack_lane(queue: str, row: list[Any]) -> LaneStats:
    return LaneStats(
        queue=queue,
        lane=row[0].decode(),
        waiting=row[1],
        active=row[2],
        delayed=row[3],
        completed=row[4],
        failed=row[5],
        cancelled=row[6],
        resting=row[7],
        weight=row[8] / 1000,
        paused=bool(row[9]),
    )


def unpack_standing(reply: Sequence[Any]) -> Standing:
    told: dict[str, Any] = msgpack.unpackb(reply[0])
    caps = {name: tuple(told[name]) for name in told if name.endswith("_cap")}
    (job,) = unpack_jobs(reply[1:6])
    return Standing(job=job, **{**told, **caps})


def pack_worker(worker: WorkerInfo) -> bytes:
    return orjson.dumps(worker)


def unpack_workers(
    infos: Mapping[bytes, bytes], leases: Sequence[tuple[bytes, float]], now: int
) -> list[WorkerInfo]:
    """The workers whose lease has not run out."""
    alive = [(infos[owner], int(until)) for owner, until in leases if until > now and owner in infos]
    return [_unpack_worker(info, until) for info, until in alive]


def _unpack_worker(info: bytes, lease_until: int) -> WorkerInfo:
    # Of any release: what this one does not know is passed over.
    known = WorkerInfo.__dataclass_fields__
    fields = {name: value for name, value in orjson.loads(info[13:]).items() if name in known}
    for name, value in fields.items():
        if isinstance(value, list):
            fields[name] = tuple(value)
    return WorkerInfo(**{**fields, "lease_until": lease_until, "seen_at": int(info[:13])})


# Rules


def pack_rules(rules: QueueRules) -> bytes:
    """What the store needs of a queue's rules."""
    named = {
        "priority": rules.priority,
        "cap": rules.global_concurrency,
        "rate": rules.rate,
        "share": rules.share or None,
        "lane_first": rules.priority_scope == "lane" or None,
        "time": rules.fairness == "time" or None,
        "lane_cap": rules.lane_concurrency,
        "lane_rate": rules.lane_rate,
        "gate_cap": rules.gate_concurrency,
        "gate_rate": rules.gate_rate,
    }
    return _pack({name: value for name, value in named.items() if value is not None})


_RATES = ("rate", "lane_rate", "gate_rate", "worker_rate")


def pack_adjustment(scope: Scope, changes: Mapping[str, object]) -> bytes:
    """Changes for adjust.lua, where False takes one back. Raises InvalidAdjustment."""
    check_adjustments(scope, changes)
    return _pack(
        {name: False if value is None or value is False else value for name, value in changes.items()}
    )


def unpack_adjustments(policies: Mapping[bytes, bytes]) -> dict[Scope, dict[str, object]]:
    found: dict[Scope, dict[str, object]] = {}
    for field, packed in policies.items():
        kind, _, rest = field.decode().partition(SEP)
        if kind == "a":
            queue, has_lane, lane = rest.partition(SEP)
            found[Scope(queue, lane if has_lane else None)] = unpack_changes(packed)
    return found


def unpack_changes(packed: bytes) -> dict[str, object]:
    """What was adjusted in one scope."""
    changes: dict[str, object] = msgpack.unpackb(packed)
    for name in _RATES:
        if isinstance(rate := changes.get(name), list):
            changes[name] = Rate(*rate)
    return changes


def scope_key(scope: Scope) -> str:
    """A scope's name in `rests`."""
    if scope.lane is None:
        return scope.queue
    lane = f"{scope.queue}{SEP}{scope.lane}"
    return f"{lane}{SEP}{scope.gate}" if scope.gate else lane


def _pack(fields: list[Any] | dict[str, Any]) -> bytes:
    # The old raw type serves text and bytes alike, which is all that a Lua string knows.
    packed: bytes = msgpack.packb(fields, use_bin_type=False)
    return packed
