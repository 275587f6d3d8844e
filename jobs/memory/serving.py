"""Whose turn it is: queues by class, bands of a queue, lanes of a band, gates of a lane, priorities of a
line; and the start of a job."""

from jobs.memory.allowance import (
    NO_BOUND,
    Allowed,
    Rates,
    drips_of,
    gate_allows,
    lane_allows,
    queue_allows,
    spend_drip,
)
from jobs.memory.order import Line
from jobs.memory.shelf import Record
from jobs.memory.state import State
from jobs.model import FetchRequest, Scope
from jobs.states import JobState

#: Of lanes and gates that may not run a fetch meets so many, and some more of each further queue; the next
#: fetch goes on.
MET_AT_MOST, MET_AT_LEAST = 100, 10


def serve(state: State, request: FetchRequest) -> tuple[set[str], list[Record]]:
    """The queues that were asked, and what was started."""
    workers = state.workers
    left, extra = request.credits, 0
    workers.idle_until.pop(request.owner, None)
    if request.ahead > 0 and not any(until >= state.now for until in workers.idle_until.values()):
        extra = request.ahead
        left += extra
    turns = [queue for _, queue in sorted(state.ready.values()) if request.queues.get(queue, 0) > 0]
    turns.sort(key=state.policies.priority)
    ready = {queue: state.policies.priority(queue) for queue in turns}
    room = dict(request.queues)
    passed = workers.passed[request.owner]
    passed.keep(ready)
    started, met = list[Record](), 0
    while left > 0 and ready:
        queue, most = passed.choose(ready, NO_BOUND)
        may_meet = max(MET_AT_LEAST, MET_AT_MOST - met)
        most = min(most, left, room[queue])
        firm = max(0, left - extra)
        new, wanted, in_vain = _serve_queue(state, queue, most, request.owner, firm, may_meet)
        met += in_vain
        passed.served(queue, len(new), ready)
        started += new
        left -= len(new)
        room[queue] -= len(new)
        if not new or room[queue] <= 0 or len(new) < wanted:
            del ready[queue]
    for queue in {record.job.queue for record in started} & set(state.ready):
        state.ready[queue] = (state.tick, queue)
    return set(turns), started


def _serve_queue(
    state: State, queue: str, most: int, owner: str, firm: int, may_meet: int
) -> tuple[list[Record], int, int]:
    """Start up to `most` jobs of a queue that has its turn. Where a cap or rate holds, no more than `firm`:
    what is held ahead of threads would take the place of a job that another process could start now. Returns
    also how many it might have started, and how many lanes and gates it met that may not run."""
    started = list[Record]()
    allowed = queue_allows(state, queue)
    if allowed.jobs <= 0:
        state.ready.pop(queue, None)
        if allowed.name is not None:
            state.limits.sleep_for(allowed.name, queue)
        elif allowed.until is not None:
            state.queue_timers[queue] = allowed.until
        return [], 0, 0
    drips = drips_of(state, Scope(queue))
    if drips <= 0:
        return [], 0, 0
    starts, most, met = state.lines.starts_of(queue), min(most, allowed.jobs, drips), 0
    if min(allowed.jobs, drips) < NO_BOUND:
        most = min(most, firm)
    while len(started) < most and met < may_meet and (bands := state.lines.bands(queue)):
        band, room = starts.choose(bands, most - len(started))
        free = min(room, most - len(started))
        new = _serve_band(state, queue, band, free, owner, allowed.rates, firm - len(started))
        if new is None:
            break
        if new:
            starts.served(band, len(new))
        else:
            met += 1
        started += new
    if len(started) < most:
        state.leave_ready_when_idle(queue)
    return started, most, met


def _serve_band(
    state: State, queue: str, band: int, most: int, owner: str, rates: Rates, firm: int
) -> list[Record] | None:
    """Start jobs of the band's first lane while it is first, up to one that may not run; if that is the very
    first it is put to rest. None: no thread is free, and the lane is one of which nothing is held ahead."""
    lines, started = state.lines, list[Record]()
    while len(started) < most and (lane := lines.first(queue, band)) is not None:
        line = lane
        allowed = of_lane = lane_allows(state, lane)
        if of_lane.jobs > 0:
            line = lines.first_of(lane)
            allowed = gate_allows(state, line)
        if allowed.jobs <= 0:
            if not started:
                _put_to_rest(state, line, allowed)
            break
        if min(of_lane.jobs, allowed.jobs) < NO_BOUND and len(started) >= firm:
            return started or None
        record = _start_first(state, line, owner, rates | of_lane.rates | allowed.rates)
        if record is not None:
            started.append(record)
    return started


def _put_to_rest(state: State, line: Line, allowed: Allowed) -> None:
    state.lines.rest(line, allowed.until)
    if allowed.name is not None:
        state.limits.sleep_for(allowed.name, line.key)


def _start_first(state: State, line: Line, owner: str, rates: Rates) -> Record | None:
    """None: what stood there does not wait, so somebody else put it there."""
    key = line.key
    entry = _first_entry(line)
    record = state.shelf.get(entry[2])
    assert record is not None
    if record.job.state is not JobState.WAITING:
        state.lines.discard(key, entry)
        state.tell_of_forgery(record)
        return None
    cost = 1.0
    if state.policies.by_time(key.queue):
        usual_ms = state.costs.get((key.queue, key.lane, record.job.actor), 100.0)
        cost = min(36_000.0, max(0.01, usual_ms / 100))
    paid = state.lines.charge(line, cost, state.policies.weight(key.queue, key.lane))
    state.lines.discard(key, entry)
    start(state, record, owner, paid, rates)
    if state.limits.rests:
        scopes = {Scope(key.queue), Scope(key.queue, key.lane), Scope(key.queue, key.lane, key.gate)}
        for scope in sorted(scopes, key=str):
            spend_drip(state, scope)
    return record


def _first_entry(line: Line) -> tuple[int, int, str]:
    """By priority and place. Where tenants come before bands, the bound on starvation holds in the line."""
    if line.key.band > 0:
        return line.jobs[0]
    priority, _ = line.starts.choose(sorted({entry[0] for entry in line.jobs}), 1)
    line.starts.served(priority, 1)
    return next(entry for entry in line.jobs if entry[0] == priority)


def start(state: State, record: Record, owner: str, paid: int, rates: Rates) -> None:
    """Lease the job to its owner; spends an attempt."""
    job = record.job
    record.charge, record.share, record.rated = paid, state.policies.share(job.queue), list(rates)
    state.shelf.move(
        record,
        JobState.ACTIVE,
        attempts=job.attempts + 1,
        deliveries=job.deliveries + 1,
        owner=owner,
        started_at=state.now,
    )
    for name in state.caps_of(record):
        state.limits.running[name] += 1
    for name, rate in rates.items():
        state.limits.log_start(name, rate, (state.now, record.job.deliveries, job.id))
    state.unique.started(record.new, state.now)
