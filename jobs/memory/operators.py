"""What operators do with jobs and queues, and what age does."""

import heapq
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jobs.adjustments import check_priority
from jobs.errors import IllegalTransition
from jobs.events import AttemptDetail
from jobs.memory.forms import failure
from jobs.memory.inspection import in_order
from jobs.memory.shelf import Record, ended
from jobs.memory.state import State
from jobs.model import Cancelled, Outcome, Retention, Scope
from jobs.states import JobState

UNSTARTED = (JobState.WAITING, JobState.DELAYED)
EXPIRED_RESULT = b'{"result":null,"note":"its time was over"}'


def promote(state: State, job_ids: Sequence[str]) -> list[bool]:
    return [_promote_one(state, job_id, index) for index, job_id in enumerate(job_ids, start=1)]


def _promote_one(state: State, job_id: str, index: int) -> bool:
    record = state.shelf.get(job_id)
    if record is not None and record.held:
        state.stop_holding(record)
        return True
    if record is not None and record.job.state is JobState.DELAYED:
        state.to_waiting(record, state.next_place(index), state.now)
        return True
    return False


def set_priority(state: State, job_ids: Sequence[str], priority: int) -> list[bool]:
    check_priority(priority)
    return [_set_priority_of(state, state.shelf.get(job_id), priority) for job_id in job_ids]


def _set_priority_of(state: State, record: Record | None, priority: int) -> bool:
    if record is None or record.job.state not in UNSTARTED:
        return False
    in_line = record.job.state is JobState.WAITING and not record.held and not record.suspect
    if in_line:
        state.step_away(record)
    state.shelf.amend(record, priority=priority)
    if in_line:
        state.line_up(record)
    return True


def cancel(
    state: State, job_ids: Sequence[str], reason: str, signal: Callable[[str], None]
) -> list[Cancelled]:
    """`signal` is called with each job whose worker must be told."""
    answers = []
    for job_id in job_ids:
        record = state.shelf.get(job_id)
        if record is None:
            answers.append(Cancelled.UNKNOWN)
        elif record.job.state in UNSTARTED:
            _cancel_now(state, record, reason)
            answers.append(Cancelled.DONE)
        elif record.job.state is JobState.ACTIVE:
            if not record.job.cancel_requested:
                state.shelf.amend(record, cancel_requested=True, cancel_reason=reason)
            signal(job_id)
            answers.append(Cancelled.SIGNALLED)
        else:
            answers.append(Cancelled.LATE)
    return answers


def _cancel_now(state: State, record: Record, reason: str) -> None:
    ready_at = record.job.ready_at or 0
    state.step_away(record)
    state.shelf.amend(record, record=failure("Cancelled", reason or "cancelled"))
    state.finish(record, JobState.CANCELLED)
    token = record.job.deliveries
    detail = AttemptDetail(reason=reason).to_bytes() if reason else b""
    state.tell(
        record, Outcome.CANCELLED, detail, attempt=0, token=token, owner="", ready_at=ready_at, started_at=0
    )


def remove(state: State, job_ids: Sequence[str], ended_by: int | None) -> list[bool]:
    found = []
    for job_id in job_ids:
        record = state.shelf.get(job_id)
        found.append(record is not None and _may_be_removed(record, ended_by))
        if record is not None and found[-1]:
            state.remove(record)
    return found


def _may_be_removed(record: Record, ended_by: int | None) -> bool:
    if ended_by is None:
        return record.job.state is not JobState.ACTIVE
    return record.job.state.settled and (record.job.finished_at or 0) <= ended_by


def withdraw(state: State, job_ids: Sequence[str]) -> list[bool]:
    found = []
    for job_id in job_ids:
        record = state.shelf.get(job_id)
        fresh = record is not None and _never_given(record)
        found.append(fresh)
        if record is not None and fresh:
            state.withdraw(record)
    return found


def _never_given(record: Record) -> bool:
    job = record.job
    return job.state in (JobState.WAITING, JobState.DELAYED) and not job.deliveries and not job.lost_leases


def retry_dead(state: State, job_ids: Sequence[str], ended_by: int | None, from_start: bool) -> list[bool]:
    horizon = state.now if ended_by is None else ended_by
    return [
        _retry_one(state, state.shelf.get(job_id), index, horizon, from_start)
        for index, job_id in enumerate(job_ids, start=1)
    ]


def _retry_one(state: State, record: Record | None, index: int, ended_by: int, from_start: bool) -> bool:
    if record is None or record.job.state not in (JobState.FAILED, JobState.CANCELLED):
        return False
    job = record.job
    if (job.finished_at or 0) > ended_by:
        return False
    if not state.unique.take_again(record.new, job.created_at, state.now):
        return False
    # What is cancelled before it starts has an event without a delivery; the next one needs another token.
    deliveries = job.deliveries + (job.state is JobState.CANCELLED)
    fresh: dict[str, Any] = {"attempts": 0, "lost_leases": 0, "interruptions": 0}
    fresh |= {"cancel_requested": False, "cancel_reason": ""}
    state.shelf.amend(
        record, **fresh, deliveries=deliveries, finished_at=None, started_at=None, dead_letter=None
    )
    record.begun = False
    if from_start:
        record.notes.begin_anew()
    state.to_waiting(record, state.next_place(index), state.now)
    return True


def drain(state: State, queue: str, delayed: bool, limit: int) -> int:
    states = UNSTARTED if delayed else (JobState.WAITING,)
    return _remove_all(state, [r for which in states for r in in_order(state, queue, which)], limit)


def clean(state: State, queue: str, which: JobState, older_than_ms: int, keep: int, limit: int) -> int:
    if which is JobState.ACTIVE:
        raise IllegalTransition("Active jobs cannot be cleaned; cancel them.")
    candidates = in_order(state, queue, which)
    newest = heapq.nlargest(keep, candidates, key=ended if which.settled else _came)
    candidates = [record for record in candidates if record not in newest]
    if older_than_ms > 0:
        candidates = [record for record in candidates if _since(record) <= state.now - older_than_ms]
    return _remove_all(state, [record for record in candidates if _may_leave(state, record)], limit)


def obliterate(state: State, queue: str, limit: int) -> int:
    removed = drain(state, queue, True, limit)
    for which in (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED):
        removed += clean(state, queue, which, 0, 0, limit - removed)
    if not removed and not any(state.shelf.count(queue, which) for which in JobState):
        state.forget_queue(queue)
    return removed


def trim(state: State, retention: Mapping[str, Retention], limit: int) -> int:
    removed = 0
    for queue, keep in retention.items():
        for which in (JobState.COMPLETED, JobState.CANCELLED, JobState.FAILED):
            age = keep.failed_ms if which is JobState.FAILED else keep.completed_ms
            records = sorted(state.shelf.records(queue, which), key=ended)
            old = [record for record in records if (record.job.finished_at or 0) <= state.now - age]
            removed += _remove_all(state, [r for r in old if _may_leave(state, r)], limit - removed)
        if keep.failed_count is not None:
            failed = sorted(state.shelf.records(queue, JobState.FAILED), key=ended)
            over = failed[: max(0, len(failed) - keep.failed_count)]
            removed += _remove_all(state, [r for r in over if _may_leave(state, r)], limit - removed)
    for record in state.shelf.all():
        if 0 < record.result_until <= state.now:
            record.result_until = 0
            state.shelf.amend(record, record=EXPIRED_RESULT)
    state.groups.forget(state.now)
    state.shelf.forget_markers(state.now)
    state.lines.tidy()
    for name in [name for name, until in state.costs_until.items() if until <= state.now]:
        del state.costs[name], state.costs_until[name]
    state.stream.forget_what_nobody_reads(state.now)
    return removed


def _remove_all(state: State, records: list[Record], limit: int) -> int:
    for record in records[: max(0, limit)]:
        state.remove(record)
    return min(len(records), max(0, limit))


def _may_leave(state: State, record: Record) -> bool:
    """A dead letter stays until every reader has dealt with its event."""
    return record.job.state is not JobState.FAILED or state.stream.dealt_with(record.event)


def _since(record: Record) -> int:
    """Since when the job has been in its state; of a delayed one, since when it is there."""
    job = record.job
    if job.finished_at is not None:
        return job.finished_at
    return job.ready_at if job.ready_at is not None else job.created_at


def _came(record: Record) -> tuple[int, str]:
    """How late a job came that has not started: by its place, a delayed one by when it was made."""
    job = record.job
    return (job.created_at if job.state is JobState.DELAYED else record.place), job.id


def adjust(state: State, scope: Scope, changes: Mapping[str, object]) -> None:
    """What may run by the new rules is awake at once; what still holds it back is found when it is met."""
    state.policies.adjust(scope, changes)
    queue, lane = scope.queue, scope.lane
    if lane is not None:
        pause = ("paused", queue, lane)
        if state.policies.paused(queue, lane):
            state.rest_lines(scope, None)
            for line in state.lines.of(queue, lane, ""):
                if line.rests:
                    state.limits.sleep_for(pause, line.key)
        else:
            state.limits.take_sleepers(pause)
            state.wake_lines(scope)
        return
    if state.policies.paused(queue):
        state.ready.pop(queue, None)
    else:
        _wake_queue(state, queue)
    if any(name.startswith(("lane_", "gate_")) for name in changes):
        rouse(state, queue)


def rouse(state: State, queue: str) -> None:
    """Rules of a queue have changed: nothing rests in it for the former ones."""
    _wake_queue(state, queue)
    state.wake_lines(Scope(queue))


def _wake_queue(state: State, queue: str) -> None:
    state.queue_timers.pop(queue, None)
    if state.lines.bands(queue):
        state.make_ready(queue)
