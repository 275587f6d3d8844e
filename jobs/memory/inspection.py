"""What the in-memory store tells of its jobs, queues and lanes."""

import math
from collections import Counter
from collections.abc import Sequence

from jobs.memory.claims import kept_until
from jobs.memory.limits import LimitName, gate_limit, lane_limit, queue_limit, share_limit
from jobs.memory.shelf import Record, ended
from jobs.memory.state import State
from jobs.model import Job, LaneStats, QueueStats, Scope, Standing
from jobs.states import JobState

MINUTE_MS = 60_000


def in_order(state: State, queue: str, which: JobState) -> list[Record]:
    """Jobs of one queue and state, oldest first; waiting ones by line, then those that are in no line."""
    records = state.shelf.records(queue, which)
    if which.settled:
        return sorted(records, key=ended)
    if which is JobState.DELAYED:
        return sorted(records, key=lambda record: (record.job.due_at or 0, record.job.id))
    if which is JobState.ACTIVE:
        return sorted(records, key=lambda record: (record.job.owner or "", record.job.id))
    in_line = [record for record in records if not record.held and not record.suspect]
    apart = [record for record in records if record.held or record.suspect]
    in_line.sort(key=_standing_order)
    apart.sort(key=lambda record: (not record.held, record.apart))
    return in_line + apart


def _standing_order(record: Record) -> tuple[object, ...]:
    """By band, lane and place; the gates of a lane before what is in no gate."""
    line = record.line
    assert line is not None
    return (line.band, line.lane, line.gate == "", line.gate, record.entry)


def list_jobs(state: State, queue: str, which: JobState, limit: int, offset: int) -> list[Job]:
    records = in_order(state, queue, which)
    if which.settled:
        records.reverse()
    return [record.job for record in records[offset : offset + limit]]


def scan(
    state: State, queue: str, which: JobState, limit: int, after: str, routed: bool
) -> tuple[list[Job], str | None]:
    """The mark to go on from is the id of the last job of the page, and how many came before it."""
    if routed:
        letters = [record for record in state.shelf.all() if record.job.dead_letter == queue]
        records = sorted(letters, key=lambda record: (record.job.finished_at or 0, record.job.id))
    else:
        records = in_order(state, queue, which)
    first = _position_after(records, after) if after else 0
    page = records[first : first + limit]
    following = first + limit
    mark = f"{following}:{page[-1].job.id}" if page and following < len(records) else None
    return [record.job for record in page], mark


def scan_all(state: State, limit: int, after: str) -> tuple[list[Job], str | None]:
    """The mark to go on from is the id of the last job of the page; the order is that of ids."""
    records = sorted(
        (record for record in state.shelf.all() if record.job.id > after), key=lambda record: record.job.id
    )
    page = [record.job for record in records[:limit]]
    return page, page[-1].id if len(records) > limit else None


def _position_after(records: list[Record], mark: str) -> int:
    """Behind the marked job; where it was, if it has gone, less what has gone with it at most."""
    position, _, job_id = mark.partition(":")
    ids = [record.job.id for record in records]
    return ids.index(job_id) + 1 if job_id in ids else max(0, int(position) - 1)


def stats_of(state: State, queue: str) -> QueueStats:
    shelf, totals = state.shelf, state.totals
    waiting = shelf.records(queue, JobState.WAITING)
    resting = len(waiting) if state.queue_rests(queue) else sum(_rests(state, record) for record in waiting)
    oldest = min((record.place // 1000 for record in waiting), default=None)
    return QueueStats(
        queue=queue,
        waiting=len(waiting),
        active=shelf.count(queue, JobState.ACTIVE),
        delayed=shelf.count(queue, JobState.DELAYED),
        blocked=shelf.count(queue, JobState.BLOCKED),
        resting=resting,
        completed=shelf.count(queue, JobState.COMPLETED),
        failed=shelf.count(queue, JobState.FAILED),
        cancelled=shelf.count(queue, JobState.CANCELLED),
        dead_letters=sum(record.job.dead_letter == queue for record in shelf.all()),
        completed_total=totals[queue, JobState.COMPLETED],
        failed_total=totals[queue, JobState.FAILED],
        retries=totals[queue, "retries"],
        oldest_waiting_ms=None if oldest is None else max(0, state.now - oldest),
        paused=state.policies.paused(queue),
        completed_per_minute=_per_minute(state, queue, JobState.COMPLETED),
        failed_per_minute=_per_minute(state, queue, JobState.FAILED),
    )


def _rests(state: State, record: Record) -> bool:
    if record.held:
        return True
    if record.suspect or record.line is None:
        return False
    return state.lines.rests(record.line)


def _per_minute(state: State, queue: str, which: JobState) -> float:
    """Over the minute before this one and what has passed of this one, in whole thousandths."""
    minute, passed = divmod(state.now, MINUTE_MS)
    ended_lately = state.minutes[queue, which, minute] + state.minutes[queue, which, minute - 1]
    return math.floor(1000 * ended_lately * MINUTE_MS / (MINUTE_MS + passed) + 0.5) / 1000


def lanes(state: State, queue: str, names: Sequence[str] | None, limit: int) -> list[LaneStats]:
    counts: dict[JobState, Counter[str]] = {
        which: Counter(record.job.lane for record in state.shelf.records(queue, which)) for which in JobState
    }
    waiting = state.shelf.records(queue, JobState.WAITING)
    resting = Counter(record.job.lane for record in waiting if _rests(state, record))
    if names is None:
        names = sorted({line.key.lane for line in state.lines.of(queue) if line.jobs})[:limit]
    return [
        LaneStats(
            queue=queue,
            lane=lane,
            waiting=counts[JobState.WAITING][lane],
            resting=resting[lane],
            active=counts[JobState.ACTIVE][lane],
            delayed=counts[JobState.DELAYED][lane],
            completed=counts[JobState.COMPLETED][lane],
            failed=counts[JobState.FAILED][lane],
            cancelled=counts[JobState.CANCELLED][lane],
            weight=state.policies.weight(queue, lane),
            paused=state.policies.paused(queue, lane),
        )
        for lane in names
    ]


def standing(state: State, record: Record) -> Standing:
    job, policies = record.job, state.policies
    waits = job.state is JobState.WAITING
    told = Standing(
        job,
        queue_paused=policies.paused(job.queue),
        lane_paused=policies.paused(job.queue, job.lane),
        waiting_in_queue=state.shelf.count(job.queue, JobState.WAITING),
        suspect=waits and record.suspect,
    )
    if not waits and job.state is not JobState.DELAYED:
        return told
    until, scope, reason = _nearest_rest(state, record)
    share = policies.share(job.queue)
    of_queue = _cap(state, share_limit(share) if share else queue_limit(job.queue), policies.cap(job.queue))
    of_gate = policies.gate_cap(job.queue, job.gate) if job.gate else None
    before = 0
    if waits and not record.held and not record.suspect and record.line is not None:
        before = state.lines.get(record.line).jobs.index(record.entry)
    return Standing(
        job,
        queue_paused=told.queue_paused,
        lane_paused=told.lane_paused,
        rests_until=until,
        rest_scope=scope,
        rest_reason=reason,
        queue_cap=None if share else of_queue,
        share_cap=of_queue if share else None,
        lane_cap=_cap(state, lane_limit(job.queue, job.lane), policies.lane_cap(job.queue, job.lane)),
        gate_cap=_cap(state, gate_limit(job.lane, job.gate), of_gate),
        before_in_lane=before,
        waiting_in_queue=told.waiting_in_queue,
        suspect=told.suspect,
    )


def _nearest_rest(state: State, record: Record) -> tuple[int | None, str, str]:
    job, rests = record.job, state.limits.rests
    if job.held_until is not None:
        return job.held_until, "job", job.held_reason
    scopes = [("lane", Scope(job.queue, job.lane)), ("queue", Scope(job.queue))]
    if job.gate:
        scopes.insert(0, ("gate", Scope(job.queue, job.lane, job.gate)))
    for name, scope in scopes:
        rest = rests.get(scope)
        if rest is not None and rest.until > state.now:
            return rest.until, name, rest.reason
    if job.state is JobState.WAITING and not record.suspect and record.line is not None:
        free_at = state.lines.rests_until(record.line) or state.queue_timers.get(job.queue, 0)
        if free_at > state.now:
            return free_at, "place" if _is_kept(state, job) else "rate", ""
    return None, "", ""


def _is_kept(state: State, job: Job) -> bool:
    """Whether a free place under one of its caps is kept for a suspect."""
    policies, queue, lane, share = state.policies, job.queue, job.lane, state.policies.share(job.queue)
    caps = [
        (share_limit(share) if share else queue_limit(queue), policies.cap(queue)),
        (lane_limit(queue, lane), policies.lane_cap(queue, lane)),
    ]
    if job.gate:
        caps.append((gate_limit(lane, job.gate), policies.gate_cap(queue, job.gate)))
    free = [name for name, cap in caps if cap == 1 and not state.limits.running[name]]
    return any(kept_until(state, name) is not None for name in free)


def _cap(state: State, name: LimitName, cap: int | None) -> tuple[int, int] | None:
    return None if cap is None else (state.limits.running[name], cap)
