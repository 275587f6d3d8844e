"""Connections to Redis, and its errors in our words."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,  # noqa: A004  Redis's own, the builtin is mapped too
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004
    TryAgainError,
)
from redis.retry import Retry

from jobs.errors import StoreFull, StoreUnavailable

#: Three tries of 1.7 s: a producer cut off from Redis gets its error within 6 s.
SOCKET_TIMEOUT_S = 1.7
TRIES_AGAIN = 2

AWAY = (
    ConnectionError,
    TimeoutError,
    BusyLoadingError,
    ReadOnlyError,
    ClusterDownError,
    MasterDownError,
    TryAgainError,
    OSError,
)


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where Redis is. The URL may hold a password: never log it, use `place`."""

    url: str = field(repr=False)

    @property
    def place(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.hostname or 'localhost'}:{parts.port or 6379}"


def connect(
    address: RedisAddress, *, socket_timeout: float = SOCKET_TIMEOUT_S, tries_again: int = TRIES_AGAIN
) -> "redis.Redis":
    """A client. No I/O yet. Time-outs in seconds; every verb is idempotent, so repeats are safe."""
    return redis.Redis.from_url(
        address.url,
        socket_timeout=socket_timeout,
        socket_connect_timeout=SOCKET_TIMEOUT_S,
        socket_keepalive=True,
        retry=Retry(ExponentialBackoff(cap=0.4, base=0.1), tries_again),
        health_check_interval=0,
        protocol=2,
    )


@contextmanager
def plain_errors(address: RedisAddress) -> Iterator[None]:
    """Turn errors of redis-py into StoreUnavailable and StoreFull, with what to do about them."""
    try:
        yield
    except AuthenticationError as error:
        raise StoreUnavailable(
            f"Redis at {address.place} refuses the user name or password; check REDIS_URL."
        ) from error
    except OutOfMemoryError as error:
        raise StoreFull(
            f"Redis at {address.place} is at maxmemory, so new jobs are refused; "
            "let the workers drain it or raise maxmemory."
        ) from error
    except AWAY as error:
        raise StoreUnavailable(
            f"Redis at {address.place} cannot be reached ({_first_line(error)}); "
            "start it, or run `make up`, and check REDIS_URL."
        ) from error
    except ResponseError as error:
        if str(error).startswith("FULL "):
            raise StoreFull(f"New jobs are refused: {str(error).removeprefix('FULL ')}.") from error
        raise StoreUnavailable(f"Redis at {address.place} answered: {_first_line(error)}") from error
    except RedisError as error:
        raise StoreUnavailable(f"Redis at {address.place}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
