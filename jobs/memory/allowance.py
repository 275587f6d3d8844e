"""How many jobs of a queue, a lane or a gate may start now, under its pauses, rests, caps and rates."""

from typing import NamedTuple

from jobs.memory.claims import kept_until
from jobs.memory.limits import LimitName, gate_limit, lane_limit, queue_limit, share_limit
from jobs.memory.order import Line
from jobs.memory.state import State
from jobs.model import Scope
from jobs.rules import Rate

Rates = dict[LimitName, Rate]
NO_BOUND = 1_000_000_000
#: So long the jobs of a rest in drips may take to ask for what they want.
ANSWER_MS = 1_000


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
    return _in_drips(
        state, Scope(queue, name), limit, policies.lane_cap(queue, name), policies.lane_rate(queue, name)
    )


def gate_allows(state: State, line: Line) -> Allowed:
    queue, _, lane, gate = line.key
    if not gate:
        return Allowed(NO_BOUND, {})
    scope = Scope(queue, lane, gate)
    if (until := _rests_until(state, scope)) > state.now:
        return Allowed(0, {}, until=until)
    limit = gate_limit(lane, gate)
    return _in_drips(
        state, scope, limit, state.policies.gate_cap(queue, gate), state.policies.gate_rate(queue)
    )


def drips_of(state: State, scope: Scope) -> int:
    """How many may start of a scope that rests in drips."""
    rest = state.limits.rests.get(scope)
    if rest is None or rest.until > state.now:
        return NO_BOUND if rest is None else 0
    return NO_BOUND if rest.drips is None or rest.until > 0 else rest.drips


def spend_drip(state: State, scope: Scope) -> None:
    """One has started."""
    rest = state.limits.rests.get(scope)
    if rest is None or rest.drips is None or rest.until > 0:
        return
    rest = rest._replace(drips=rest.drips - 1, asked=rest.asked + 1)
    if rest.drips == 0:
        rest = rest._replace(until=state.now + ANSWER_MS, drips=1)
    state.limits.rests[scope] = rest
    if rest.until > 0:
        state.put_to_rest(scope, rest.until)


def _rests_until(state: State, scope: Scope) -> int:
    rest = state.limits.rests.get(scope)
    return rest.until if rest else 0


def _in_drips(state: State, scope: Scope, name: LimitName, cap: int | None, rate: Rate | None) -> Allowed:
    allowed = _allowed(state, name, cap, rate)
    return allowed._replace(jobs=min(allowed.jobs, drips_of(state, scope)))


def _allowed(state: State, name: LimitName, cap: int | None, rate: Rate | None) -> Allowed:
    """The least that both leave."""
    most, logged = NO_BOUND, Rates()
    if cap is not None:
        most = cap - state.limits.running[name]
        if most <= 0:
            return Allowed(0, {}, name=name)
        if cap == 1 and (until := kept_until(state, name)) is not None:
            return Allowed(0, {}, until=until)
    if rate is not None:
        most = min(most, state.limits.rate_left(name, rate, state.now))
        if most <= 0:
            return Allowed(0, {}, until=state.limits.rate_free_at(name, rate, state.now))
        logged[name] = rate
    return Allowed(most, logged)
