"""From a stored job to what a person may see of it."""

import inspect
from typing import TYPE_CHECKING, Any

import dramatiq
import orjson

from broker.codec import UndecodablePayload, is_secret
from control.service.views import BackoffView, JobOptionsView, JobView, MilestoneView, ProgressView, moment
from jobs.model import Job
from jobs.states import JobState

if TYPE_CHECKING:
    from actors.composition import App

#: Shown instead of an argument that is marked Secret or PII.
PRIVATE = "[private]"


def job_view(app: "App", job: Job, sent: dramatiq.Message[Any] | None = None) -> JobView:
    """A job in S0's shape; `sent` is its message where the caller has it.

    Garbage in a payload or record shows as null, never as an error.
    """
    job = app.broker.notes.opened(job)
    record = _json(job.record)
    notes = dict[str, str]()
    if record.get("result") is None and isinstance(told := record.get("note"), str):
        notes["returnvalue"] = _briefly(told.removeprefix("it "))
    try:
        message = sent or app.broker.decode(job)
    except UndecodablePayload as unreadable:
        message = None  # the job's own failure says more when a worker meets it
        notes["data"] = _briefly(f"cannot be read: {unreadable.__cause__ or unreadable}")
    error = _error(record)
    started, finished = job.started_at, job.finished_at
    return JobView(
        id=job.id,
        queue=job.queue,
        name=job.actor,
        state=job.state,
        data=_arguments(app, job, message) if message else None,
        opts=_options(app, job, message),
        progress=progress_view(job).percent,
        attempts_made=job.attempts,
        created_at=moment(job.created_at),
        processed_on=moment(started),
        finished_on=moment(finished),
        due_at=moment(job.due_at),
        failed_reason=_reason(error),
        stacktrace=[str(line) for line in error.get("stack") or []],
        returnvalue=record.get("result"),
        wait_ms=None if started is None or job.ready_at is None else max(0, started - job.ready_at),
        run_ms=None if started is None or finished is None else max(0, finished - started),
        worker=job.owner,
        dead_letter=job.dead_letter,
        tenant_id=job.lane or None,
        notes=notes,
    )


def progress_view(job: Job) -> ProgressView:
    """What the job reported last; a completed job is at 100 whatever that was."""
    told = _json(job.progress)
    percent = 100.0 if job.state is JobState.COMPLETED else _number(told.get("percent")) or 0.0
    message = told.get("message")
    return ProgressView(
        id=job.id,
        state=job.state,
        percent=min(100.0, max(0.0, percent)),
        message=message if isinstance(message, str) else None,
        done=_number(told.get("done")),
        total=_number(told.get("total")),
        milestones=_milestones(told.get("milestones")),
    )


def failed_reason(job: Job) -> str | None:
    """Why it failed or was cancelled, in a sentence."""
    return _reason(_error(_json(job.record)))


def error_of(job: Job) -> dict[str, Any]:
    """The error that a job failed with last, as it is recorded; empty without one."""
    return _error(_json(job.record))


def error_type(job: Job) -> str | None:
    """The type of the error that a job failed with."""
    kind = _error(_json(job.record)).get("type")
    return kind if isinstance(kind, str) else None


def _briefly(sentence: str) -> str:
    """Its first clause, in the middle of a line."""
    start, _, said = sentence.partition(": ")
    clause = said.partition(";")[0].rstrip(".")
    return f"{start}: {clause[:1].lower()}{clause[1:]}" if clause else sentence


def _arguments(app: "App", job: Job, message: dramatiq.Message[Any]) -> dict[str, Any]:
    """All arguments by name, those that were sent by position too; what is marked private is not shown."""
    given = _by_name(app, message)
    if message.actor_name not in app.broker.actors:
        # Of an actor that this process does not know nobody can tell which of them are.
        return dict.fromkeys(given, PRIVATE) if is_secret(job) else given
    private = app.contract(message.actor_name).private
    if not private and is_secret(job) and app.rules_of(job.queue).encryption is None:
        # It was encrypted for what is in it, or for what it follows from.
        return dict.fromkeys(given, PRIVATE)
    if private and "args" in given:
        return dict.fromkeys(
            given, PRIVATE
        )  # no longer what its signature takes: nobody knows which is which
    return {name: PRIVATE if name in private else value for name, value in given.items()}


def _by_name(app: "App", message: dramatiq.Message[Any]) -> dict[str, Any]:
    actor = app.broker.actors.get(message.actor_name)
    if not message.args:
        return dict(message.kwargs)
    if actor is None:
        return {"args": list(message.args), **message.kwargs}
    try:
        bound = inspect.signature(actor.fn).bind_partial(*message.args, **message.kwargs)
    except TypeError:
        return {"args": list(message.args), **message.kwargs}
    return dict(bound.arguments)


def _options(app: "App", job: Job, message: dramatiq.Message[Any] | None) -> JobOptionsView:
    """The options that hold: those of the job, else of its actor, else of its queue's policy."""
    policy = app.settings.policy(job.queue)
    actor = app.broker.actors.get(job.actor)
    own: dict[str, Any] = dict(actor.options) if actor is not None else {}
    own |= {name: value for name, value in (message.options if message else {}).items() if value is not None}
    backoff = own.get("backoff")
    if isinstance(backoff, dict):
        shown = BackoffView(
            type=backoff.get("type", policy.backoff.type), delay=backoff.get("delay", policy.backoff.delay_ms)
        )
    else:
        shown = BackoffView(type=policy.backoff.type, delay=policy.backoff.delay_ms)
    count = policy.retention.completed_count
    return JobOptionsView(
        priority=job.priority,
        delay=_delay(job),
        attempts=job.max_attempts,
        backoff=shown,
        timeout=own.get("time_limit") or policy.timeout_ms,
        remove_on_complete=own.get("remove_on_complete", False if count is None else count),
        remove_on_fail=False,
    )


def _delay(job: Job) -> int:
    """Milliseconds the job was asked to wait at first; 0 once retries have written over it."""
    first = None
    if job.deliveries == 0:
        first = job.due_at or job.ready_at
    elif job.deliveries == 1 and (job.state.settled or job.state is JobState.ACTIVE):
        first = job.ready_at
    return max(0, first - job.created_at) if first is not None else 0


def _milestones(told: object) -> list[MilestoneView]:
    listed = told if isinstance(told, list) else []
    pairs = [pair for pair in listed if isinstance(pair, list) and len(pair) == 2]
    return [
        MilestoneView(percent=percent, at=moment(int(at)))
        for percent, at in ((_number(pair[0]), _number(pair[1])) for pair in pairs)
        if percent is not None and at is not None
    ]


def _error(record: dict[str, Any]) -> dict[str, Any]:
    error = record.get("error")
    return error if isinstance(error, dict) else {}


def _reason(error: dict[str, Any]) -> str | None:
    kind, message = error.get("type"), error.get("message")
    return ": ".join(str(part) for part in (kind, message) if part) or None


def _json(data: bytes | None) -> dict[str, Any]:
    if not data:
        return {}
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
