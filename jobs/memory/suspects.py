"""A suspect lost a lease before: it may be what kills processes, so it runs where nothing else does."""

from jobs.memory.allowance import queue_allows
from jobs.memory.serving import start
from jobs.memory.shelf import Record
from jobs.memory.state import State, Turn
from jobs.model import FetchRequest

#: So long a process may take to become empty for a suspect.
TURN_MS = 30_000


def tend_suspects(state: State, request: FetchRequest) -> tuple[bool, list[Record]]:
    """Whether this process shall become empty for a suspect, or the suspect that it is given."""
    workers, now, owner = state.workers, state.now, request.owner
    turn = workers.turn
    if not state.held and not any(state.suspects.values()):
        return False, []
    found = _first_suspect(state, request)
    if found is None:
        # Those that wait are of queues that this process does not serve: whoever does shall not wait for it.
        if turn.owner == owner:
            workers.turn = Turn()
        return False, []
    fresh = turn.since > now - TURN_MS
    if turn.owner not in ("", owner) and fresh:
        return False, []
    if not request.busy:
        workers.turn = Turn(owner, now)
        return False, [_start_suspect(state, found, owner)]
    if turn.owner == owner and not fresh:
        # It had its time to become empty: now another process may try, and this one not for a while.
        workers.turn = Turn("", now, gave_up=owner)
        return False, []
    if turn.owner == "" and turn.gave_up == owner and fresh:
        return False, []
    if turn.owner != owner:
        workers.turn = Turn(owner, now)
    return True, []


def _first_suspect(state: State, request: FetchRequest) -> Record | None:
    heads = [
        state.suspects[queue][0]
        for queue in request.queues
        if state.suspects.get(queue) and not state.policies.paused(queue) and not state.queue_rests(queue)
    ]
    return state.shelf.get(min(heads, key=lambda head: head[0])[1]) if heads else None


def _start_suspect(state: State, record: Record, owner: str) -> Record:
    """It pays nothing, and no cap holds it back: it runs alone."""
    rates = queue_allows(state, record.job.queue).rates
    state.step_away(record)
    start(state, record, owner, 0, rates)
    return record
