"""How many jobs of a queue, a lane or a gate may start now, under its pauses, rests, caps and rates."""

from typing import NamedTuple

from jobs.memory.limits import LimitName, gate_limit, lane_limit, queue_limit, share_limit
from jobs.memory.order import Line
from jobs.memory.state import State
from jobs.model import Scope
from jobs.rules import Rate

Rates = dict[LimitName, Rate]
NO_BOUND = 1_000_000_000


class Allowed(NamedTuple):
    """How many may start now, and the rates that log each start. When none may: until when, or the name of
    the cap or pause that must change first."""

    jobs: int
    rates: Rates
    until: int | None = None
    name: LimitName | None = None


def queue_allows(state: State, queue: str) -> Allowed:
    """Under the cap and the rate of the queue, or of those it shares them with."""
    policies = state.policies
    share = policies.share(queue)
    name = share_limit(share) if share else queue_limit(queue)
    return _allowed(state, name, policies.cap(queue), policies.rate(queue))


def lane_allows(state: State, lane: Line) -> Allowed:
    policies, queue, name = state.policies, lane.key.queue, lane.key.lane
    if policies.paused(queue, name):
        return Allowed(0, {}, name=("paused", queue, name))
    if (until := _rests_until(state, Scope(queue, name))) > state.now:
        return Allowed(0, {}, until=until)
    limit = lane_limit(queue, name)
    return _allowed(state, limit, policies.lane_cap(queue, name), policies.lane_rate(queue, name))


def gate_allows(state: State, line: Line) -> Allowed:
    queue, _, lane, gate = line.key
    if not gate:
        return Allowed(NO_BOUND, {})
    if (until := _rests_until(state, Scope(queue, lane, gate))) > state.now:
        return Allowed(0, {}, until=until)
    limit = gate_limit(lane, gate)
    return _allowed(state, limit, state.policies.gate_cap(queue, gate), state.policies.gate_rate(queue))


def _rests_until(state: State, scope: Scope) -> int:
    rest = state.limits.rests.get(scope)
    return rest.until if rest else 0


def _allowed(state: State, name: LimitName, cap: int | None, rate: Rate | None) -> Allowed:
    """The least that both leave."""
    most, logged = NO_BOUND, Rates()
    if cap is not None:
        most = cap - state.limits.running[name]
        if most <= 0:
            return Allowed(0, {}, name=name)
    if rate is not None:
        most = min(most, state.limits.rate_left(name, rate, state.now))
        if most <= 0:
            return Allowed(0, {}, until=state.limits.rate_free_at(name, rate, state.now))
        logged[name] = rate
    return Allowed(most, logged)
