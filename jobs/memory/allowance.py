"""How many jobs of a queue or a line may start now, under its pauses, rests, caps and rates."""

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
    return _allowed(state, [(name, policies.cap(queue))], [(name, policies.rate(queue))])


def line_allows(state: State, line: Line) -> Allowed:
    policies = state.policies
    queue, _, lane, gate = line.key
    if policies.paused(queue, lane):
        return Allowed(0, {}, name=("paused", queue, lane))
    scopes = (Scope(queue, lane), Scope(queue, lane, gate))
    until = max((rest.until for scope in scopes if (rest := state.limits.rests.get(scope))), default=0)
    if until > state.now:
        return Allowed(0, {}, until=until)
    name = lane_limit(queue, lane)
    caps, rates = [(name, policies.lane_cap(queue, lane))], [(name, policies.lane_rate(queue, lane))]
    if gate:
        name = gate_limit(lane, gate)
        caps.append((name, policies.gate_cap(queue, gate)))
        rates.append((name, policies.gate_rate(queue)))
    return _allowed(state, caps, rates)


def _allowed(
    state: State, caps: list[tuple[LimitName, int | None]], rates: list[tuple[LimitName, Rate | None]]
) -> Allowed:
    """The least that all of these leave."""
    most, logged = NO_BOUND, Rates()
    for name, cap in caps:
        if cap is not None:
            most = min(most, cap - state.limits.running[name])
            if most <= 0:
                return Allowed(0, {}, name=name)
    for name, rate in rates:
        if rate is not None:
            most = min(most, state.limits.rate_left(name, rate, state.now))
            if most <= 0:
                return Allowed(0, {}, until=state.limits.rate_free_at(name, rate, state.now))
            logged[name] = rate
    return Allowed(most, logged)
