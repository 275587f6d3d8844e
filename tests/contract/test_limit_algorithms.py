"""Each algorithm against a plain model of it: what was granted when is all that the model remembers."""

import itertools
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.limits import Algorithm, Terms, Want, capacity, key_of
from jobs.store import JobStore
from tests.contract.clock import Clock
from tests.contract.steps import QUEUE, a_job, settle, take

PER_MS = 1_000
_numbers = itertools.count()
Granted = list[tuple[int, int]]


def room(algorithm: Algorithm, terms: Terms, granted: Granted, now: int) -> Fraction:
    """What may be taken now, from what was taken so far: when, and how much."""
    if algorithm is Algorithm.FIXED_WINDOW:
        return Fraction(terms.limit - sum(n for at, n in granted if at // PER_MS == now // PER_MS))
    if algorithm is Algorithm.SLIDING_WINDOW:
        return Fraction(terms.limit - sum(n for at, n in granted if at > now - PER_MS))
    most = Fraction(capacity(algorithm, terms))
    tokens, then = most, granted[0][0] if granted else now
    for at, n in granted:
        tokens = min(most, tokens + Fraction((at - then) * terms.limit, PER_MS)) - n
        then = at
    return min(most, tokens + Fraction((now - then) * terms.limit, PER_MS))


def free_at(algorithm: Algorithm, terms: Terms, granted: Granted, now: int, cost: int) -> int:
    """The first millisecond in which so much may be taken."""
    return next(at for at in range(now, now + 3 * PER_MS) if room(algorithm, terms, granted, at) >= cost)


@pytest.mark.parametrize("algorithm", [one for one in Algorithm if one not in ("concurrency", "breaker")])
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(
    limit=st.integers(1, 7),
    burst=st.integers(0, 5),
    steps=st.lists(st.tuples(st.sampled_from([0, 0, 1, 90, 143, 500, 999, 1_000, 2_500]), st.integers(1, 3))),
)
def test_it_grants_what_its_model_grants(
    store: JobStore,
    clock: Clock,
    algorithm: Algorithm,
    limit: int,
    burst: int,
    steps: Sequence[tuple[int, int]],
) -> None:
    terms = Terms(limit, PER_MS, burst if algorithm in ("token_bucket", "gcra") else 0)
    want = Want(key_of("rule", str(next(_numbers))), "rule", algorithm, terms)
    store.enqueue([a_job()])
    job, granted = take(store), Granted()
    for number, (ms, cost) in enumerate(steps, start=1):
        clock.advance(ms)
        cost = min(cost, capacity(algorithm, terms))
        told = store.acquire(
            "worker-1", job.id, job.token, [want._replace(cost=cost)], queue=QUEUE, request=number
        )
        assert told.granted == (room(algorithm, terms, granted, clock.now) >= cost)
        if told.granted:
            granted.append((clock.now, cost))
        else:
            assert told.wait_ms == free_at(algorithm, terms, granted, clock.now, cost) - clock.now
    settle(store, job)
