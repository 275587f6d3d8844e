"""Whose turn it is: queues by class, bands of a queue, lines of a band; and the start of a job."""

from jobs.memory.allowance import NO_BOUND, Rates, line_allows, queue_allows
from jobs.memory.order import Line
from jobs.memory.shelf import Record
from jobs.memory.state import State
from jobs.model import FetchRequest
from jobs.states import JobState


def serve(state: State, request: FetchRequest) -> tuple[set[str], list[Record]]:
    """The queues that were asked, and what was started."""
    workers = state.workers
    left = request.credits
    workers.idle_until.pop(request.owner, None)
    if request.ahead > 0 and not any(until >= state.now for until in workers.idle_until.values()):
        left += request.ahead
    turns = [queue for _, queue in sorted(state.ready.values()) if request.queues.get(queue, 0) > 0]
    turns.sort(key=state.policies.priority)
    ready = {queue: state.policies.priority(queue) for queue in turns}
    room = dict(request.queues)
    passed = workers.passed[request.owner]
    passed.keep(ready)
    started = list[Record]()
    while left > 0 and ready:
        queue, most = passed.choose(ready, NO_BOUND)
        most = min(most, left, room[queue])
        new = _serve_queue(state, queue, most, request.owner)
        passed.served(queue, len(new), ready)
        started += new
        left -= len(new)
        room[queue] -= len(new)
        if not new or room[queue] <= 0:
            del ready[queue]
    for queue in {record.job.queue for record in started} & set(state.ready):
        state.ready[queue] = (state.tick, queue)
    return set(turns), started


def _serve_queue(state: State, queue: str, most: int, owner: str) -> list[Record]:
    """Start up to `most` jobs of a queue that has its turn."""
    started = list[Record]()
    allowed = queue_allows(state, queue)
    if allowed.jobs <= 0:
        state.ready.pop(queue, None)
        if allowed.name is not None:
            state.limits.sleep_for(allowed.name, queue)
        elif allowed.until is not None:
            state.queue_timers[queue] = allowed.until
        return []
    starts, most = state.lines.starts_of(queue), min(most, allowed.jobs)
    while len(started) < most and (bands := state.lines.bands(queue)):
        band, room = starts.choose(bands, most - len(started))
        new = _serve_band(state, queue, band, min(room, most - len(started)), owner, allowed.rates)
        if new:
            starts.served(band, len(new))
        started += new
    if len(started) < most:
        state.leave_ready_when_idle(queue)
    return started


def _serve_band(state: State, queue: str, band: int, most: int, owner: str, rates: Rates) -> list[Record]:
    """Start jobs of the band's first line while it is first; a line that may not run is put to rest."""
    lines, started = state.lines, list[Record]()
    while len(started) < most and (line := lines.first(queue, band)) is not None:
        allowed = line_allows(state, line)
        if allowed.jobs <= 0:
            lines.rest(line, allowed.until)
            if allowed.name is not None:
                state.limits.sleep_for(allowed.name, line.key)
            if not started:
                return []
            continue
        started.append(_start_first(state, line, owner, rates | allowed.rates))
    return started


def _start_first(state: State, line: Line, owner: str, rates: Rates) -> Record:
    key = line.key
    record = state.shelf.get(line.jobs[0][2])
    assert record is not None
    cost = 1.0
    if state.policies.by_time(key.queue):
        usual_ms = state.costs.get((key.queue, key.lane, record.job.actor), 100.0)
        cost = min(36_000.0, max(0.01, usual_ms / 100))
    paid = state.lines.charge(line, cost, state.policies.weight(key.queue, key.lane))
    state.lines.discard(key, record.entry)
    start(state, record, owner, paid, rates)
    return record


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
