"""What makes places of limits free again (the end of a block or of a delivery, a changed limit, a provider
that works again), what goes on then, and how full they are."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from jobs.limits import (
    BREAKER_RULE,
    MARK,
    Algorithm,
    BreakerTerms,
    LimitRule,
    LimitState,
    News,
    ProviderState,
    Want,
    capacity,
    key_of,
)
from jobs.memory.acquiring import scope_from
from jobs.memory.limits import Rest
from jobs.memory.run_limits import PERMITS, Breaker, Holding, Refused, Waiter
from jobs.memory.state import DRIPS_KEPT_MS, State
from jobs.model import Scope


def give_back(state: State, job_id: str, token: int, request: int) -> None:
    holding = state.running_limits.holdings.get(job_id)
    if holding is None or holding.token != token:
        return
    ended = [one for one in holding.taken if one.algorithm in PERMITS and one.request == request]
    holding.taken = [one for one in holding.taken if one not in ended]
    with _put_aside(state, holding):
        for one in ended:
            _wake_waiters(state, one.key, state.running_limits.free_permits(one))


def end_deliveries(state: State) -> None:
    for job_id, (unspent, waits) in state.over.items():
        end_holding(state, job_id, unspent=unspent, waits=waits)
    state.over = {}


def end_holding(state: State, job_id: str, *, unspent: bool, waits: bool) -> None:
    """Its permits are free; what it took before it ran is put back when it did not run."""
    limits = state.running_limits
    holding = limits.holdings.pop(job_id, None)
    if holding is None:
        return
    refused = holding.refused
    if refused is not None and not waits and not refused.scope:
        limits.wait_no_more(refused.key, refused.waiter)
    with _put_aside(state, holding):
        for taken in holding.taken:
            if taken.algorithm in PERMITS:
                _wake_waiters(state, taken.key, limits.free_permits(taken))
            elif unspent and taken.request == 0:
                limits.put_back(taken, job_id, holding.token)


def refusal_of(state: State, job_id: str) -> Refused | None:
    holding = state.running_limits.holdings.get(job_id)
    return holding.refused if holding else None


def is_over(state: State, refused: Refused) -> bool:
    """What the job waited for has come before it was put back."""
    return refused.waiter not in state.running_limits.waiters.get(refused.key, ())


def rest_in_drips(state: State, refused: Refused, reason: str) -> None:
    scope, at = scope_from(refused.scope), max(state.now + 1, refused.at)
    old = state.limits.rests.get(scope)
    if old is not None and old.drips is None and old.until >= at:
        return
    asked = old.asked if old is not None else 0
    state.limits.rests[scope] = Rest(at, reason, refused.drips, asked, (refused.key, refused.waiter))
    state.put_to_rest(scope, at)


def set_limit(state: State, rule: str, tenant: str | None, changes: Mapping[str, int | None]) -> None:
    limits = state.running_limits
    changed = limits.changes.setdefault((rule, tenant), {})
    for name, value in changes.items():
        if value is None:
            changed.pop(name, None)
        else:
            changed[name] = value
    if not changed:
        del limits.changes[rule, tenant]
    for key in sorted(key for key in limits.waiters if key.startswith(rule + MARK)):
        _wake_all(state, key)


def provider_news(
    state: State, name: str, news: News | None, terms: BreakerTerms, wait_ms: int, *, probe: bool = False
) -> ProviderState:
    key, limits = key_of(BREAKER_RULE, name), state.running_limits
    if limits.news(key, news, terms, wait_ms, state.now, probe=probe):
        _wake_all(state, key)
    breaker = limits.breakers.get(key, Breaker())
    left = max(0, breaker.open_until - state.now) if breaker.open_until else 0
    return ProviderState(name, breaker.stands(state.now), breaker.open_until or None, left)


def provider_state(state: State, name: str) -> ProviderState:
    key, limits = key_of(BREAKER_RULE, name), state.running_limits
    breaker = limits.breakers.get(key, Breaker())
    return ProviderState(
        name,
        breaker.stands(state.now),
        breaker.open_until or None,
        max(0, breaker.open_until - state.now),
        breaker.failures,
        breaker.share_now(state.now) / 1000,
        len(limits.waiters.get(key, ())),
    )


def limit_states(
    state: State,
    rules: Sequence[LimitRule],
    tenant: str | None,
    limit: int,
    after: tuple[str, str, str] | None,
) -> list[LimitState]:
    by_name, rows = {rule.name: rule for rule in rules}, []
    for key, whose in sorted(state.running_limits.counters):
        name, _, of = key.partition(MARK)
        if name in by_name and tenant in (None, whose) and (after is None or (name, of, whose) > after):
            rows.append(_limit_state(state, by_name[name], key, of, whose))
    return rows[:limit]


def _limit_state(state: State, rule: LimitRule, key: str, of: str, tenant: str) -> LimitState:
    limits = state.running_limits
    want = Want(key, rule.name, rule.algorithm, rule.terms_of(tenant), 10**9, tenant, slows=rule.slows)
    want = limits.as_it_holds(want, state.now)
    room, at = limits.room(want, state.now)
    most = capacity(want.algorithm, want.terms)
    reset = None if math.isinf(at) else int(at) - state.now
    waiting = len(limits.waiters.get(key, ()))
    used = most - room if rule.algorithm is Algorithm.CONCURRENCY else min(most, most - room)
    return LimitState(
        rule.name, of, tenant, rule.algorithm, want.terms, int(used), int(max(0, room)), reset, waiting
    )


@contextmanager
def _put_aside(state: State, holding: Holding) -> Iterator[None]:
    """A job that was refused one more permit than it held waits for another's: woken by its own it would
    start at once, to be refused again. So it does not wait while its own are handed on."""
    refused, limits = holding.refused, state.running_limits
    waits = refused is not None and not refused.scope and not is_over(state, refused)
    if refused is not None and waits:
        limits.wait_no_more(refused.key, refused.waiter)
    yield
    if refused is not None and waits:
        limits.wait(refused.key, refused.waiter)


def _wake_waiters(state: State, key: str, units: int) -> None:
    while units > 0 and (waiter := state.running_limits.first_waiter(key)) is not None:
        units -= _wake(state, waiter)


def _wake_all(state: State, key: str) -> None:
    while (waiter := state.running_limits.first_waiter(key)) is not None:
        _wake(state, waiter)


def _wake(state: State, waiter: Waiter) -> bool:
    if waiter.scope:
        return _wake_scope(state, scope_from(waiter.scope))
    holding = state.running_limits.holdings.get(waiter.job_id)
    if holding is not None and holding.refused is not None:
        return True  # its worker puts it back soon, and it goes on then
    record = state.shelf.get(waiter.job_id)
    if record is None or not record.held:
        return False
    state.stop_holding(record)
    state.woken[record.job.queue] = None
    return True


def _wake_scope(state: State, scope: Scope) -> bool:
    rest = state.limits.rests.get(scope)
    if rest is None or rest.drips is None:
        return False
    drips = rest.drips + 1 if rest.until == 0 else 1
    state.limits.rests[scope] = rest._replace(until=0, drips=drips, kept_until=state.now + DRIPS_KEPT_MS)
    state.wake_what_rests(scope)
    state.woken[scope.queue] = None
    return True
