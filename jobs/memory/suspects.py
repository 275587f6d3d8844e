"""A suspect lost a lease before: it may be what kills processes, so it runs where nothing else does.

A process with a turn starts nothing else until it is empty, then runs one suspect after the other, until
none is left. Up to half of the living processes have a turn, so that the others go on.
"""

from collections.abc import Iterator
from typing import NamedTuple

from jobs.memory.claims import claim_places, end_claims
from jobs.memory.limits import LimitName, gate_limit, lane_limit, queue_limit, share_limit
from jobs.memory.serving import start
from jobs.memory.shelf import Record
from jobs.memory.state import State, Turn
from jobs.model import FetchRequest, Job, Scope
from jobs.rules import Rate
from jobs.states import JobState

#: A process that becomes empty has gone when it was not heard of for so long.
HEARD_MS = 10_000
#: When one that becomes empty has taken so long, another may try in its place; twice as long the next time.
PATIENCE_MS, DOUBLED_AT_MOST = 600_000, 10


class _Turns(NamedTuple):
    """Those that hold: of others where a suspect runs, of others that become empty, and one's own."""

    running: list[Turn]
    emptying: list[Turn]
    mine: Turn | None
    under: set[LimitName]  # the caps that suspects run under


def tend_suspects(state: State, request: FetchRequest) -> tuple[bool, list[Record]]:
    """Whether this process shall become empty for a suspect, or the suspect that it is given."""
    if not state.held and not any(state.suspects.values()):
        return False, []
    workers, now, owner = state.workers, state.now, request.owner
    turns = _look_at_turns(state, owner)
    found, claimed = _find_suspects(state, request, turns)
    claim_places(state, claimed)
    limit = max(1, sum(until > now for until in workers.leases.values()) // 2)
    if found and len(turns.running) < limit:
        if not request.busy:
            oldest = min(found, key=lambda record: record.place)
            _keep(state, turns, Turn(owner, now, now, oldest.job.id))
            workers.turns_in_vain = 0
            end_claims(state, [name for name, cap, _ in _limits_of(state, oldest.job) if cap == 1])
            return False, [_start_suspect(state, oldest, owner)]
        if turns.mine is not None:
            if _is_needed(turns, turns.mine, limit, len(found)):
                _keep(state, turns, turns.mine._replace(heard=now))
                return True, []
        elif len(turns.running) + len(turns.emptying) < limit and len(turns.emptying) < len(found):
            _keep(state, turns, Turn(owner, now, now))
            return True, []
        elif (overdue := _overdue(state, turns)) is not None:
            turns.emptying.remove(overdue)
            _keep(state, turns, Turn(owner, now, now))
            workers.turns_in_vain += 1
            return True, []
    if turns.mine is not None:
        # What waits is of queues that this process does not serve, or others are enough.
        _keep(state, turns, None)
    return False, []


def end_of_suspect(state: State, job: Job) -> None:
    """The turn is still that process's, which is empty and asks at once."""
    turns = state.workers.turns
    for position, turn in enumerate(turns):
        if turn.owner == job.owner and turn.job_id == job.id:
            turns[position] = Turn(turn.owner, state.now, state.now)


def _look_at_turns(state: State, owner: str) -> _Turns:
    found = _Turns([], [], next((turn for turn in state.workers.turns if turn.owner == owner), None), set())
    for turn in state.workers.turns:
        if turn.owner == owner:
            continue
        if not turn.job_id:
            if turn.heard > state.now - HEARD_MS:
                found.emptying.append(turn)
            continue
        record = state.shelf.get(turn.job_id)
        if record is not None and record.job.state is JobState.ACTIVE and record.job.owner == turn.owner:
            found.running.append(turn)
            found.under.update(state.caps_of(record))
    return found


def _keep(state: State, turns: _Turns, mine: Turn | None) -> None:
    kept = [*turns.running, *turns.emptying, *([mine] if mine else [])]
    state.workers.turns = sorted(kept, key=lambda turn: (turn.since, turn.owner))
    if not kept:
        state.workers.turns_in_vain = 0


def _is_needed(turns: _Turns, mine: Turn, limit: int, number: int) -> bool:
    """Not when others, who began before it, are enough."""
    before = sum((turn.since, turn.owner) < (mine.since, mine.owner) for turn in turns.emptying)
    return len(turns.running) + before < limit and before < number


def _overdue(state: State, turns: _Turns) -> Turn | None:
    """The one that has been becoming empty for so long that another may try."""
    longest = min(turns.emptying, key=lambda turn: (turn.since, turn.owner), default=None)
    patience = PATIENCE_MS * 2 ** min(state.workers.turns_in_vain, DOUBLED_AT_MOST)
    return longest if longest is not None and longest.since + patience <= state.now else None


def _find_suspects(
    state: State, request: FetchRequest, turns: _Turns
) -> tuple[list[Record], dict[LimitName, None]]:
    """Those that may run now, of each queue the oldest, and as many as there could be turns for; and the caps
    of one that these, and others that wait for nothing else, are under."""
    most, found, claimed = len(turns.emptying) + 1, list[Record](), dict[LimitName, None]()
    for queue in request.queues:
        if state.suspects.get(queue) and not state.policies.paused(queue) and not state.queue_rests(queue):
            may_run = (
                record for record in _suspects_of(state, queue) if not _waits(state, record, turns, claimed)
            )
            found += [record for _, record in zip(range(most), may_run, strict=False)]
    return found, claimed


def _suspects_of(state: State, queue: str) -> Iterator[Record]:
    for _, _, job_id in state.suspects[queue]:
        record = state.shelf.get(job_id)
        assert record is not None
        yield record


class _Limit(NamedTuple):
    name: LimitName
    cap: int | None
    rate: Rate | None


def _waits(state: State, record: Record, turns: _Turns, claimed: dict[LimitName, None]) -> bool:
    """For the end of a pause or rest, for a spent rate, or for another suspect under the same full cap.
    A cap that other jobs fill does not hold it back, or they would overtake it for ever: so it is exceeded by
    one at most. But a cap of one says that two shall never run at once: what lacks nothing else claims it."""
    job, policies, running = record.job, state.policies, state.limits.running
    if policies.paused(job.queue, job.lane):
        return True
    scopes = (Scope(job.queue, job.lane), Scope(job.queue, job.lane, job.gate))
    if any(rest.until > state.now for scope in scopes if (rest := state.limits.rests.get(scope))):
        return True
    limits = _limits_of(state, job)
    for name, cap, rate in limits:
        if cap and cap > 1 and name in turns.under and running[name] >= cap:
            return True
        if rate and state.limits.rate_left(name, rate, state.now) <= 0:
            return True
    ones = [name for name, cap, _ in limits if cap == 1]
    claimed |= dict.fromkeys(ones)
    return any(running[name] for name in ones)


def _limits_of(state: State, job: Job) -> list[_Limit]:
    """The caps and rates that the job starts under."""
    policies, queue, lane = state.policies, job.queue, job.lane
    name = share_limit(share) if (share := policies.share(queue)) else queue_limit(queue)
    limits = [
        _Limit(name, policies.cap(queue), policies.rate(queue)),
        _Limit(lane_limit(queue, lane), policies.lane_cap(queue, lane), policies.lane_rate(queue, lane)),
    ]
    if job.gate:
        name = gate_limit(lane, job.gate)
        limits.append(_Limit(name, policies.gate_cap(queue, job.gate), policies.gate_rate(queue)))
    return limits


def _start_suspect(state: State, record: Record, owner: str) -> Record:
    """It pays nothing: it runs alone."""
    rates = {name: rate for name, _, rate in _limits_of(state, record.job) if rate}
    state.step_away(record)
    start(state, record, owner, 0, rates)
    return record
