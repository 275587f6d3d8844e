"""What a running job takes of limits, and how it waits when it is refused: by itself, or with a scope that
rests in drips, which may start as many jobs as may run under the limit and no more before these have
asked."""

import math
from collections.abc import Sequence

from jobs.limits import Algorithm, Grant, WaitScope, Want
from jobs.memory.limits import Rest
from jobs.memory.run_limits import LEVELS, PERMITS_KEPT_MS, Breaker, Holding, Refused, RunLimits, Waiter
from jobs.memory.shelf import Record
from jobs.memory.state import DRIPS_KEPT_MS, State
from jobs.model import Job, Scope
from jobs.states import JobState

RECHECK_MS, TOGETHER_MS, MOST_AT_ONCE = 60_000, 10, 1_000
ANSWER_MS = 1_000


def acquire(
    state: State,
    owner: str,
    job_id: str,
    token: int,
    wants: Sequence[Want],
    request: int,
    patience_ms: int = 0,
) -> tuple[Grant, bool]:
    """The answer, and whether a process should look again at the job's queue."""
    record, limits = state.shelf.get(job_id), state.running_limits
    if record is None or not _is_held_by(record.job, owner, token):
        return Grant(False, lost=True), False
    holding = limits.holdings.get(job_id) or Holding(token)
    if holding.request == request:
        return Grant(True, probe=holding.probe), False
    if holding.request > request:
        return Grant(False, lost=True), False  # nobody waits for the answer any more
    now = state.now
    wants = [limits.as_it_holds(want, now) for want in wants]
    worst, worst_at, wait_us = None, float(now), 0.0
    for want in wants:
        room, at = limits.room(want, now)
        if room < want.cost:
            if _lacks_only_its_own(holding, want):
                return Grant(False, key=want.key, own=True), False
            if worst is None or at > worst_at:
                worst, worst_at = want, at
            wait_us = max(wait_us, _exact_wait(limits, want, at, now))
    if worst is not None and not _is_soon(wants, wait_us, now, patience_ms):
        return _refuse(state, record, holding, worst, worst_at, patience_ms), False
    for want in wants:
        if want.algorithm is not Algorithm.BREAKER:
            holding.taken.append(limits.take(want, job_id, token, request, now, int(wait_us)))
        elif limits.breakers.get(want.key, Breaker()).stands(now) == "half-open":
            holding.taken.append(limits.take(want, job_id, token, request, now))
            holding.probe = True
        limits.wait_no_more(want.key, Waiter(record.place, job_id, ""))
    holding.request, holding.refused = request, None
    if holding.taken or request > 0:
        limits.holdings[job_id] = holding
    look = [
        _go_on(state, scope, wants, record, patience_ms)
        for scope in dict.fromkeys(_scope_of(record.job, want) for want in wants)
    ]
    return Grant(True, probe=holding.probe, after_ms=wait_us / 1000), any(look)


def _lacks_only_its_own(holding: Holding, want: Want) -> bool:
    return (
        want.algorithm is Algorithm.CONCURRENCY and want.terms.limit - holding.permits(want.key) < want.cost
    )


def _exact_wait(limits: RunLimits, want: Want, at: float, now: int) -> float:
    """In microseconds; inf where it cannot be taken before it is there."""
    if want.algorithm is Algorithm.SLIDING_WINDOW:
        return (at - now) * 1000
    return limits.level_wait(want, now) if want.algorithm in LEVELS else math.inf


def _is_soon(wants: Sequence[Want], wait_us: float, now: int, patience_ms: int) -> bool:
    """What will be there soon can be taken now, but not of a window that has not begun."""
    if wait_us > patience_ms * 1000:
        return False
    windows = [want.terms.per_ms for want in wants if want.algorithm is Algorithm.FIXED_WINDOW]
    return all((now + int(wait_us) // 1000) // per == now // per for per in windows)


def _lead_of(want: Want, patience_ms: int) -> int:
    """How much earlier than it may start a job is called: not where a burst covers the way."""
    lead = patience_ms // 2
    if want.algorithm is Algorithm.SLIDING_WINDOW:
        return lead
    if want.algorithm not in LEVELS:
        return 0
    return max(0, lead - (want.terms.burst - want.cost) * want.terms.per_ms // want.terms.limit)


def _room_soon(state: State, want: Want, patience_ms: int) -> tuple[float, float]:
    """Units that may be taken now, or that one who comes at once may wait for; and when there are some."""
    limits, now, lead = state.running_limits, state.now, _lead_of(want, patience_ms)
    room, at = limits.room(want, now)
    if lead > 0 and want.algorithm is Algorithm.SLIDING_WINDOW:
        room = want.terms.limit - limits.used_of_log(want.key, now + lead + TOGETHER_MS, want.terms.per_ms)
    elif lead > 0:
        soon = (lead + TOGETHER_MS) * 1000 * want.terms.limit - limits.level(want, now)
        room = want.terms.burst + soon // (want.terms.per_ms * 1000)
    return room, at


def _refuse(state: State, record: Record, holding: Holding, want: Want, at: float, patience_ms: int) -> Grant:
    limits, now, scope = state.running_limits, state.now, _scope_of(record.job, want)
    drips = 1
    _forget_waiters(state, want.key, 3)
    if not scope:
        waiter = Waiter(record.place, record.job.id, "")
        if at < math.inf and want.algorithm is not Algorithm.BREAKER:
            ahead = sum(1 for one in limits.waiters.get(want.key, ()) if one < waiter)
            at = max(at, _time_behind(state, want, ahead))
            at = max(now + 1, at - _lead_of(want, patience_ms))
    else:
        where, rest = scope_from(scope), _drips_at(state, scope)
        waiter = _waiter_of_scope(state, want.key, scope, rest, record.job.id)
        if at < math.inf:
            at, drips = _next_drips(state, want, at, patience_ms)
        if rest is not None:
            state.limits.rests[where] = rest._replace(asked=max(0, rest.asked - 1))
    at = now + RECHECK_MS if at == math.inf else int(at)
    limits.wait(want.key, waiter)
    limits.remember(want, max(at, now + PERMITS_KEPT_MS))
    holding.refused = Refused(at, drips, scope, want.key, waiter)
    limits.holdings[record.job.id] = holding
    return Grant(False, max(1, at - now), want.key, want.waits)


def _forget_waiters(state: State, key: str, most: int) -> None:
    """Jobs that were cancelled or promoted while they waited wait no more."""
    for waiter in list(state.running_limits.waiters.get(key, ()))[:most]:
        if waiter.scope:
            rest = state.limits.rests.get(scope_from(waiter.scope))
            waits = rest is not None and rest.waiter == (key, waiter)
            waits = waits or waiter.job_id in state.running_limits.holdings
        else:
            record = state.shelf.get(waiter.job_id)
            waits = record is not None and (record.job.state is JobState.ACTIVE or record.held)
        if not waits:
            state.running_limits.wait_no_more(key, waiter)


def _time_behind(state: State, want: Want, ahead: int) -> int:
    """Others by themselves wait for the same counter: each has a time of its own."""
    limits, now, per, limit = state.running_limits, state.now, want.terms.per_ms, want.terms.limit
    units = want.cost * (ahead + 1)
    if want.algorithm is Algorithm.FIXED_WINDOW:
        window = now // per
        used = limits.used_in_window(want.key, window)
        return (window + max(1, -(-(units - limit + used) // limit))) * per
    if want.algorithm is Algorithm.SLIDING_WINDOW:
        last = (units - 1) % limit + 1
        return limits.log_free_at(want.key, limit - last + 1, per, now) + (units - 1) // limit * per
    lacks = (units - want.terms.burst) * per * 1000 + limits.level(want, now)
    return now + -(-lacks // (limit * 1000))


def _next_drips(state: State, want: Want, at: float, patience_ms: int) -> tuple[int, int]:
    """When a scope goes on, and with how many jobs."""
    now, cost, at, lead = state.now, want.cost, int(at), _lead_of(want, patience_ms)
    early = max(now + 1, at - lead)
    if want.algorithm is Algorithm.FIXED_WINDOW:
        return at, max(1, min(MOST_AT_ONCE, want.terms.limit // cost))
    if want.algorithm is Algorithm.SLIDING_WINDOW:
        used = state.running_limits.used_of_log(want.key, at + TOGETHER_MS, want.terms.per_ms)
        drips = max(1, min(MOST_AT_ONCE, (want.terms.limit - used) // cost))
        return early if lead > 0 else at + TOGETHER_MS, drips
    if want.algorithm not in LEVELS:
        return at, 1
    per, limit, level = want.terms.per_ms, want.terms.limit, state.running_limits.level(want, now)
    if lead > 0:
        return early, min(MOST_AT_ONCE, 1 + TOGETHER_MS * limit // (per * cost))
    full = now + -(-level // (limit * 1000))
    at = max(at, min(at + TOGETHER_MS, full))
    free = want.terms.burst * per * 1000 - max(0, level - (at - now) * 1000 * limit)
    return at, max(1, min(MOST_AT_ONCE, free // (cost * per * 1000)))


def _go_on(state: State, scope: str, wants: Sequence[Want], record: Record, patience_ms: int) -> bool:
    """A scope that rests in drips goes on: with as many jobs as may follow, or when the next one may."""
    rest = _drips_at(state, scope) if scope else None
    if rest is None:
        return False
    where, now = scope_from(scope), state.now
    rest = rest._replace(asked=max(0, rest.asked - 1))
    most, at, scarce = MOST_AT_ONCE, float(now), None
    for want in wants:
        if _scope_of(record.job, want) == scope:
            room, free_at = _room_soon(state, want, patience_ms)
            most = int(min(most, room // want.cost if room < math.inf else most))
            if free_at > at:
                at, scarce = free_at, want
    if most - rest.asked > 0:
        rest = rest._replace(until=0, drips=most - rest.asked, kept_until=now + DRIPS_KEPT_MS)
        state.limits.rests[where] = rest
        state.wake_what_rests(where)
        return True
    if scarce is not None and (rest.asked == 0 or at == math.inf):
        drips = 1
        if at == math.inf:
            waiter = _waiter_of_scope(state, scarce.key, scope, rest, record.job.id)
            state.running_limits.wait(scarce.key, waiter)
            rest, at = rest._replace(waiter=(scarce.key, waiter)), now + RECHECK_MS
        else:
            at, drips = _next_drips(state, scarce, at, patience_ms)
        rest = rest._replace(until=int(at), drips=drips)
    elif rest.until == 0:
        rest = rest._replace(until=now + ANSWER_MS, drips=1)
    state.limits.rests[where] = rest
    state.put_to_rest(where, rest.until)
    return True


def _drips_at(state: State, scope: str) -> Rest | None:
    rest = state.limits.rests.get(scope_from(scope))
    return rest if rest is not None and rest.drips is not None else None


def _waiter_of_scope(state: State, key: str, scope: str, rest: Rest | None, job_id: str) -> Waiter:
    if rest is not None and rest.waiter is not None:
        there, waiter = rest.waiter
        if there == key and waiter in state.running_limits.waiters.get(key, ()):
            return waiter
    return Waiter(state.next_moment(), job_id, scope)


def _scope_of(job: Job, want: Want) -> str:
    parts = {
        WaitScope.JOB: (),
        WaitScope.GATE: (job.queue, job.lane, job.gate),
        WaitScope.LANE: (job.queue, job.lane),
        WaitScope.QUEUE: (job.queue,),
    }
    return "\x1f".join(parts[want.waits])


def scope_from(text: str) -> Scope:
    return Scope(*text.split("\x1f"))


def _is_held_by(job: Job, owner: str, token: int) -> bool:
    return job.state is JobState.ACTIVE and job.owner == owner and job.deliveries == token
