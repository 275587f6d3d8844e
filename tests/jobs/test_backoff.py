"""How long a job waits before its next attempt (CATALOGUE section 1, Backoff)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.backoff import Backoff

KINDS = st.sampled_from(["exponential", "linear", "fixed"])
MILLISECONDS = st.integers(0, 10**9)
ATTEMPTS = st.integers(2, 1_000)


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [("exponential", [2, 4, 8, 16]), ("linear", [2, 4, 6, 8]), ("fixed", [2, 2, 2, 2])],
)
def test_the_waits_of_five_attempts_at_2_seconds(kind: str, seconds: list[int]) -> None:
    backoff = Backoff(kind, 2_000)  # type: ignore[arg-type]
    assert [backoff.before(attempt) for attempt in (2, 3, 4, 5)] == [1_000 * n for n in seconds]


def test_a_wait_is_never_longer_than_the_maximum() -> None:
    backoff = Backoff("exponential", 1_000, max_ms=5_000)
    assert [backoff.before(attempt) for attempt in (2, 3, 4, 5, 1_000)] == [1_000, 2_000, 4_000, 5_000, 5_000]


def test_jitter_takes_a_random_share_off_the_wait() -> None:
    backoff = Backoff("fixed", 10_000, jitter=0.5)
    assert backoff.before(2, rand=lambda: 0.0) == 10_000
    assert backoff.before(2, rand=lambda: 0.5) == 7_500
    assert backoff.before(2, rand=lambda: 1.0) == 5_000
    assert len({backoff.before(2) for _ in range(100)}) > 50


@given(kind=KINDS, delay=MILLISECONDS, longest=MILLISECONDS, jitter=st.floats(0, 1), attempt=ATTEMPTS)
def test_a_wait_stays_within_the_bounds_of_its_jitter(
    kind: str, delay: int, longest: int, jitter: float, attempt: int
) -> None:
    whole = Backoff(kind, delay, longest).before(attempt)  # type: ignore[arg-type]
    wait = Backoff(kind, delay, longest, jitter).before(attempt)  # type: ignore[arg-type]
    assert 0 <= whole <= longest
    assert whole * (1 - jitter) - 1 <= wait <= whole


@given(kind=KINDS, delay=MILLISECONDS, longest=MILLISECONDS, attempt=ATTEMPTS)
def test_waits_do_not_get_shorter(kind: str, delay: int, longest: int, attempt: int) -> None:
    backoff = Backoff(kind, delay, longest)  # type: ignore[arg-type]
    assert backoff.before(attempt) <= backoff.before(attempt + 1)
