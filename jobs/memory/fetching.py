"""Fetch: what time has brought, suspects, then whose turn it is."""

from jobs.memory.allowance import drips_of, gate_allows, lane_allows, queue_allows
from jobs.memory.forms import as_fetched
from jobs.memory.serving import serve
from jobs.memory.shelf import Record
from jobs.memory.state import State
from jobs.memory.suspects import tend_suspects
from jobs.memory.timing import IDLE_MS, look_at_the_clock, share_the_watch, soonest
from jobs.model import Fetched, FetchRequest, Scope


def fetch(state: State, request: FetchRequest) -> Fetched:
    workers = state.workers
    touched = look_at_the_clock(state)
    workers.prolong(request.owner, request.lease_ms, state.now)
    token, ids = workers.requests.get(request.owner, ("", []))
    if token == request.token:
        held = [record for job_id in ids if (record := state.shelf.get(job_id))]
        again = [
            as_fetched(record.job, record.settled_token, begun=record.begun)
            for record in held
            if record.job.owner == request.owner
        ]
        due = soonest(state)
        return Fetched(again, state.now, due[0] if due else None, _more(state, touched))
    suspect, started = False, list[Record]()
    if request.credits > 0:
        suspect, started = tend_suspects(state, request)
    alone = suspect or bool(started)  # nothing more will be started there for a while
    if not alone and (request.credits > 0 or request.ahead > 0):
        asked, started = serve(state, request)
        touched |= asked
    workers.requests[request.owner] = (request.token, [record.job.id for record in started])
    if not started and request.credits > 0 and not suspect:
        workers.idle_until[request.owner] = state.now + IDLE_MS
    else:
        workers.idle_until.pop(request.owner, None)
    more = _more(state, touched)
    next_due, watch = share_the_watch(state, request.owner, 0 if alone else request.credits - len(started))
    jobs = [as_fetched(record.job, record.settled_token, begun=record.begun) for record in started]
    return Fetched(jobs, state.now, next_due, more, suspect, watch)


def may_run(state: State, queue: str) -> bool:
    """Whether a fetch would start a job of this queue now. Changes nothing."""
    if queue not in state.ready or not queue_allows(state, queue).jobs or not drips_of(state, Scope(queue)):
        return False
    awake = [lane for lane in state.lines.of(queue, gate="") if lane.awake and lane_allows(state, lane).jobs]
    return any(gate_allows(state, line).jobs for lane in awake for line in state.lines.passing(lane))


def _more(state: State, touched: set[str]) -> tuple[str, ...]:
    more = list[str]()
    for queue in sorted(touched & set(state.ready)):
        if queue_allows(state, queue).jobs and state.lines.bands(queue):
            more.append(queue)
        else:
            state.leave_ready_when_idle(queue)
    return tuple(more)
