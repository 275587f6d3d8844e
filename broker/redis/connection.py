"""Clients of Redis, and its errors in our words."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,  # noqa: A004  Redis's own, the builtin is mapped too
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004
    TryAgainError,
)
from redis.retry import Retry

from broker.redis.finders import RefusedBySentinel, finder_of
from broker.redis.node_connection import SOCKET_TIMEOUT_S, NodeConnection, connection_options
from broker.redis.places import RedisAddress
from jobs.errors import StoreFull, StoreUnavailable

__all__ = ["SOCKET_TIMEOUT_S", "TRIES_AGAIN", "RedisAddress", "connect", "in_our_words", "plain_errors"]

E = TypeVar("E", bound=BaseException)

#: Three tries of 1.7 s: a producer cut off from Redis gets its error within 6 s.
TRIES_AGAIN = 2

#: What helps where nothing listens; `callboard up` has an advice of its own.
START_IT = "start it, or run `make up`, and check REDIS_URL"
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
#: What a server of 6.2 puts around an error inside of a script.
_IN_A_SCRIPT = "-OOM "


def connect(
    address: RedisAddress,
    *,
    socket_timeout: float = SOCKET_TIMEOUT_S,
    tries_again: int = TRIES_AGAIN,
    connection_class: type[NodeConnection] = NodeConnection,
) -> "redis.Redis":
    """A client. No I/O yet. Time-outs in seconds; every verb is idempotent, so repeats are safe.

    Each connection looks the node up when it is made. Raises StoreUnavailable when the URL is none.
    """
    pool = redis.ConnectionPool(
        connection_class=connection_class,
        find=finder_of(address),
        **connection_options(
            socket_timeout, Retry(ExponentialBackoff(cap=0.4, base=0.1), tries_again) if tries_again else None
        ),
    )
    return redis.Redis.from_pool(pool)


@contextmanager
def plain_errors(address: RedisAddress) -> Iterator[None]:
    """Turn errors of redis-py into StoreUnavailable and StoreFull, with what to do about them."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise in_our_words(error, address) from error


def in_our_words(error: RedisError | OSError, address: RedisAddress) -> StoreUnavailable | StoreFull:
    """What an error of redis-py means, and what to do about it."""
    return (
        _in_our_words(error, address.place) if isinstance(error, RedisError) else _away(error, address.place)
    )


def _in_our_words(error: RedisError, place: str) -> StoreUnavailable | StoreFull:
    if isinstance(error, RefusedBySentinel):
        return StoreUnavailable(
            f"The sentinel at {error.place} refuses the user name or password; check sentinel_username and "
            "sentinel_password in REDIS_URL."
        )
    if isinstance(error, AuthenticationError):
        return StoreUnavailable(f"Redis at {place} refuses the user name or password; check REDIS_URL.")
    if isinstance(error, OutOfMemoryError) or _IN_A_SCRIPT in str(error):
        return StoreFull(
            f"Redis at {place} is at maxmemory, so new jobs are refused; "
            "let the workers drain it or raise maxmemory."
        )
    if isinstance(error, AWAY):
        return _away(error, place)
    if isinstance(error, NoPermissionError):
        return StoreUnavailable(
            f"Redis at {place} forbids its user what is needed ({_first_line(error)}); "
            "docs/topologies.md has the rule that suffices."
        )
    if isinstance(error, ResponseError):
        if str(error).startswith("FULL "):
            return StoreFull(f"New jobs are refused: {str(error).removeprefix('FULL ')}.")
        return StoreUnavailable(f"Redis at {place} answered: {_first_line(error)}")
    return StoreUnavailable(f"Redis at {place}: {_first_line(error)}")


def _away(error: Exception, place: str) -> StoreUnavailable:
    untrusted = _cause(error, ssl.SSLCertVerificationError)
    if untrusted is not None:
        return StoreUnavailable(
            f"The certificate that Redis at {place} shows is not trusted ({untrusted.verify_message}); "
            "name its authority in redis.tls_ca_file, or reach it by the name in the certificate."
        )
    if _cause(error, ssl.SSLError) is not None:
        return StoreUnavailable(
            f"Redis at {place} cannot be reached by TLS ({_first_line(error)}); "
            "check that REDIS_URL and the server agree on TLS and on client certificates."
        )
    return StoreUnavailable(f"Redis at {place} cannot be reached ({_first_line(error)}); {START_IT}.")


def _cause(error: BaseException, kind: type[E]) -> E | None:
    """The error of one kind that is behind another."""
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, kind):
        behind = behind.__cause__ or behind.__context__
    return behind


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
