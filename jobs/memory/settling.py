"""How deliveries end: settlement, hand-back, lost leases."""

from collections.abc import Sequence

from jobs.memory import accepting, freeing
from jobs.memory.forms import failure
from jobs.memory.limits import Rest
from jobs.memory.run_limits import Refused
from jobs.memory.shelf import Record, ended
from jobs.memory.state import State
from jobs.memory.suspects import end_of_suspect
from jobs.memory.timing import pass_on_the_watch
from jobs.model import Job, NewJob, Outcome, RestScope, Scope, Settled, Verdict
from jobs.states import JobState

INTERRUPTED_NOT_BEFORE_MS = 2_000
MAX_INTERRUPTIONS = 10
#: How far a lane's usual run time moves towards the latest one.
SMOOTH = 0.2
#: So long after its last job the usual run time of a lane's actor is forgotten.
COSTS_KEPT_MS = 7 * 24 * 3600 * 1000
#: When no process has been heard of for so long, it was the store that was away: leases that ran out
#: meanwhile are prolonged a little.
SILENCE_MS, GRACE_MS = 10_000, 6_000
LEASE_LOST = failure(
    "LeaseLost", "the worker that held this job died or was cut off, and the job may not run again"
)

RAN = (Outcome.COMPLETED, Outcome.RETRY, Outcome.FAILED, Outcome.CANCELLED)
UNSTARTED = (Outcome.RETURNED, Outcome.HELD)
GOES_ON = (Outcome.RETRY, Outcome.INTERRUPTED, *UNSTARTED)


def settle(state: State, owner: str, verdicts: Sequence[Verdict]) -> list[Settled]:
    if not verdicts:
        return []
    answers, keeps, followers = list[Settled](), dict[str, int](), list[NewJob]()
    for index, verdict in enumerate(verdicts):
        record = state.shelf.get(verdict.id)
        answers.append(_answer(state, owner, verdict, record))
        if record is not None and answers[-1] is Settled.STORED:
            _settle_one(state, record, verdict, keeps, index)
            if verdict.cache is not None:
                state.cache.keep(verdict.cache, state.now)
            followers += verdict.follow
    accepting.follow(state, followers, len(verdicts))
    for queue, keep in keeps.items():
        completed = state.shelf.records(queue, JobState.COMPLETED)
        completed.sort(key=ended)
        for record in completed[: max(0, len(completed) - keep)]:
            state.remove(record)
    state.shelf.forget_markers(state.now)
    return answers


def _answer(state: State, owner: str, verdict: Verdict, record: Record | None) -> Settled:
    if record is None:
        return Settled.REPEATED if state.shelf.was_here(verdict.id, state.now) else Settled.REFUSED
    job = record.job
    if job.state is JobState.ACTIVE and job.owner == owner and job.deliveries == verdict.token:
        return Settled.STORED
    return Settled.REPEATED if record.settled_token == verdict.token else Settled.REFUSED


def _settle_one(state: State, record: Record, verdict: Verdict, keeps: dict[str, int], index: int) -> None:
    then, told = record.job, verdict.outcome
    if told is Outcome.LOST:
        raise ValueError("only the store itself says that a lease was lost")
    record.settled_token = then.deliveries
    record.dead_letter = verdict.dead_letter or record.dead_letter
    state.release(record)
    if record.suspect:
        end_of_suspect(state, then)
    if verdict.record is not None or told is Outcome.COMPLETED:
        state.shelf.amend(record, record=verdict.record)
    elif told is Outcome.CANCELLED:
        state.shelf.amend(record, record=_cancelled(then))
    if verdict.record is not None and told is Outcome.COMPLETED and verdict.result_ms > 0:
        record.result_until = state.now + verdict.result_ms
    if verdict.progress is not None:
        state.shelf.amend(record, progress=verdict.progress)
    if verdict.unspent and told is Outcome.FAILED:
        _give_back(state, record)
        then = record.job
    if told in RAN and record.charge and state.policies.by_time(then.queue):
        _learn_cost(state, then)
    if told is Outcome.RETRY:
        state.totals[then.queue, "retries"] += 1
    if told in GOES_ON and then.cancel_requested:
        if told in UNSTARTED:
            _undo_start(state, record)
            told = Outcome.CANCELLED
        if verdict.record is None:
            state.shelf.amend(record, record=_cancelled(then))
        state.finish(record, JobState.CANCELLED)
    elif told is Outcome.INTERRUPTED and then.interruptions + 1 >= MAX_INTERRUPTIONS:
        state.finish(record, JobState.FAILED, record.dead_letter)
    elif told in GOES_ON:
        _wait_again(state, record, verdict, index)
    else:
        state.finish(record, JobState(told.value), record.dead_letter)
    if told not in UNSTARTED:
        _tell(state, record, told, then, verdict.detail)
    if told is Outcome.COMPLETED and verdict.remove:
        state.remove(record)
    elif told is Outcome.COMPLETED and verdict.keep is not None:
        keeps[then.queue] = verdict.keep


def _wait_again(state: State, record: Record, verdict: Verdict, index: int) -> None:
    job, delay = record.job, verdict.delay_ms
    match verdict.outcome:
        case Outcome.HELD:
            _undo_start(state, record)
            record.begun |= not verdict.unspent
            state.over[job.id] = state.over[job.id]._replace(unspent=False)  # it ran until it was held
            _put_back_and_rest(state, record, verdict)
            return
        case Outcome.RETURNED:
            _undo_start(state, record)
            if delay > 0:
                pass_on_the_watch(state, job.owner or "", state.now + delay)
        case Outcome.INTERRUPTED:
            record.begun = True
            state.shelf.amend(record, attempts=job.attempts - 1, interruptions=job.interruptions + 1)
            delay = max(delay, INTERRUPTED_NOT_BEFORE_MS)
    if delay > 0:
        state.shelf.move(record, JobState.DELAYED, due_at=state.now + delay, ready_at=None, owner=None)
    elif verdict.outcome is Outcome.RETURNED:
        _put_back(state, record)
    else:
        state.to_waiting(record, state.next_place(index), state.now)


def _put_back_and_rest(state: State, record: Record, verdict: Verdict) -> None:
    """HELD: what may not run now rests, the job by itself or with others."""
    job, until = record.job, state.now + verdict.delay_ms
    if (refused := freeing.refusal_of(state, job.id)) is not None:
        _wait_for_limit(state, record, refused, verdict.reason)
        return
    if verdict.delay_ms > 0 and verdict.rests is RestScope.JOB:
        state.shelf.move(record, JobState.WAITING, owner=None)
        state.hold(record, until, verdict.reason)
        return
    _put_back(state, record)
    if verdict.delay_ms > 0:
        if verdict.rests is RestScope.QUEUE:
            state.rest(Scope(job.queue), Rest(until, verdict.reason))
        elif verdict.rests is RestScope.LANE:
            state.rest(Scope(job.queue, job.lane, job.gate), Rest(until, verdict.reason))


def _wait_for_limit(state: State, record: Record, refused: Refused, reason: str) -> None:
    if freeing.is_over(state, refused):
        _put_back(state, record)
        return
    state.over[record.job.id] = state.over[record.job.id]._replace(waits=True)
    if refused.scope:
        _put_back(state, record)
        freeing.rest_in_drips(state, refused, reason)
        return
    state.shelf.move(record, JobState.WAITING, owner=None)
    state.hold(record, max(state.now + 1, refused.at), reason)


def _put_back(state: State, record: Record) -> None:
    """To the place that it had."""
    state.shelf.move(record, JobState.WAITING, owner=None)
    state.line_up(record)


def _undo_start(state: State, record: Record) -> None:
    """Back where it was: nothing was spent, and its unique name is taken again."""
    _give_back(state, record)
    state.unique.take_again(record.new, record.job.created_at, state.now)


def _give_back(state: State, record: Record) -> None:
    """Neither an attempt was spent, nor a start under a rate, nor its line's time."""
    job = record.job
    state.shelf.amend(record, attempts=job.attempts - 1)
    state.over[job.id] = state.over[job.id]._replace(unspent=True)
    for name in record.rated:
        state.limits.unlog_start(name, (job.started_at or 0, job.deliveries, job.id))
    record.rated = []
    if record.charge and record.line is not None:
        state.lines.refund(record.line, record.charge)
    record.charge = 0


def _learn_cost(state: State, job: Job) -> None:
    name = (job.queue, job.lane, job.actor)
    took = state.now - (job.started_at or 0)
    old = state.costs.get(name)
    state.costs[name] = round(took if old is None else old + SMOOTH * (took - old), 3)
    state.costs_until[name] = state.now + COSTS_KEPT_MS


def leave(state: State, owner: str) -> None:
    """A clean stop: what the owner holds was not started."""
    for record in state.shelf.held_by(owner):
        verdict = Verdict(record.job.id, record.job.deliveries, Outcome.RETURNED)
        settle(state, owner, [verdict])
    state.workers.forget(owner)


def reclaim(state: State, max_lost: int, limit: int) -> int:
    workers, reclaimed = state.workers, 0
    expired = sorted((until, owner) for owner, until in workers.leases.items() if until <= state.now)
    silence = state.now - workers.last_beat if workers.last_beat else 0
    workers.last_beat = state.now
    if expired and silence > SILENCE_MS:
        for _, owner in expired:
            workers.leases[owner] = state.now + GRACE_MS
        return 0
    for _, owner in expired:
        for record in state.shelf.held_by(owner)[: limit - reclaimed]:
            _lose(state, record, max_lost)
            reclaimed += 1
        if not state.shelf.held_by(owner):
            workers.forget(owner)
        if reclaimed >= limit:
            break
    return reclaimed


def _lose(state: State, record: Record, max_lost: int) -> None:
    then = record.job
    state.release(record)
    state.shelf.amend(record, lost_leases=then.lost_leases + 1)
    if then.cancel_requested:
        state.shelf.amend(record, record=_cancelled(then))
        state.finish(record, JobState.CANCELLED)
    elif record.job.lost_leases >= max_lost or then.attempts >= then.max_attempts:
        state.shelf.amend(record, record=LEASE_LOST)
        state.finish(record, JobState.FAILED, record.dead_letter)
    else:
        # Its place stays: nothing that came later runs before it.
        state.shelf.move(record, JobState.WAITING, ready_at=state.now, owner=None)
        state.line_up(record)
    _tell(state, record, Outcome.LOST, then, b"")


def _cancelled(job: Job) -> bytes:
    """The record of a job that was to be cancelled and whose worker said nothing."""
    return failure("Cancelled", job.cancel_reason or "cancelled")


def _tell(state: State, record: Record, outcome: Outcome, then: Job, detail: bytes) -> None:
    """`then` is the job as it was while it ran."""
    state.tell(
        record,
        outcome,
        detail,
        attempt=then.attempts,
        token=then.deliveries,
        owner=then.owner or "",
        ready_at=then.ready_at or 0,
        started_at=then.started_at or 0,
    )
