"""Dramatiq's group callbacks on our store: a member that runs twice is counted once."""

from collections.abc import Callable
from typing import Any, NoReturn

from dramatiq.rate_limits import RateLimiterBackend

from broker.following import following
from jobs.store import JobStore


class GroupBarriers(RateLimiterBackend):
    """What `GroupCallbacks` needs of a rate limiter's backend, no more. `store` is asked for each time."""

    def __init__(self, store: Callable[[], JobStore]) -> None:
        self._store = store

    def add(self, key: str, value: int, ttl: int) -> bool:
        """A group of `value` members begins; `ttl` in milliseconds."""
        return self._store().open_group(key, value, ttl)

    def decr(self, key: str, amount: int, minimum: int, ttl: int) -> bool:
        """The job whose end is decided here is completed; False when that completes the group."""
        if following.proxy is None:
            raise RuntimeError("a group counts its members at the end of their runs only")
        return not self._store().arrive(key, following.proxy.message_id)

    def wait_notify(self, key: str, ttl: int) -> None:
        """Nothing: nobody waits at a group's barrier."""

    def incr(self, *args: Any) -> NoReturn:
        _only_for_groups()

    def incr_and_sum(self, *args: Any) -> NoReturn:
        _only_for_groups()

    def wait(self, *args: Any) -> NoReturn:
        _only_for_groups()


def _only_for_groups() -> NoReturn:
    raise NotImplementedError(
        "this backend counts groups only; limits are rules of queues and `[limits]` in the settings, or give "
        "Dramatiq's rate limiters a backend of their own"
    )
