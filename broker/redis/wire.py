"""Commands to Redis with as little between as can be: each packed in one buffer and sent, all replies read.

redis-py's own client passes every command through a dozen calls, which cost a worker more than its
jobs' settlement.
"""

import os
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, cast

import hiredis
import redis
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,  # noqa: A004  Redis's own
    ResponseError,
    TimeoutError,  # noqa: A004
)

from broker.redis.wire_connection import WireConnection

Argument = str | bytes | int | float

#: All tries of one call together, in seconds; and how much of that is worth another try.
CALL_LIMIT_S, SHORTEST_TRY_S = 5.4, 0.3

_AWAY = (ConnectionError, TimeoutError, OSError)


class Wire:
    """Sends commands over connections of `client`'s pool. Safe to use from many threads and after a fork.

    `tries_again`: how often a call is repeated after a lost connection; every verb is idempotent. Where
    another node may take over (sentinels, a cluster), it is repeated for as long as a call may last.
    """

    def __init__(self, client: "redis.Redis", tries_again: int = 0) -> None:
        self._pool = client.connection_pool
        self._tries_again = tries_again
        self._patient: bool = tries_again > 0 and self._pool.connection_kwargs["find"].patient
        self._idle: deque[WireConnection] = deque()
        self._pid = os.getpid()

    def call(self, commands: Iterable[bytes]) -> list[Any]:
        """Send packed commands; the replies in order. Raises the first error reply after all have run.
        `commands` are asked for anew at each try."""
        end = time.monotonic() + CALL_LIMIT_S
        tried = 0
        while True:
            connection: WireConnection = self._take()
            if tried:
                connection.relax(end)
            try:
                replies = connection.exchange(commands, end)
            except AuthenticationError:
                connection.disconnect()
                raise  # it counts as a lost connection with redis-py
            except _AWAY:
                connection.disconnect()
                connection.relax()  # its next call has all its time
                self._idle.append(connection)
                tried += 1
                if not self._once_more(tried, end):
                    raise
            else:
                if tried:
                    connection.relax()
                self._idle.append(connection)
                break
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise reply
        return replies

    def _once_more(self, tried: int, end: float) -> bool:
        if not self._patient:
            return tried <= self._tries_again and time.monotonic() < end
        # The first loss is often but an old connection; then give the others time to elect a master.
        pause = 0.0 if tried == 1 else min(0.4, 0.025 * 2**tried)
        if time.monotonic() + pause > end - SHORTEST_TRY_S:
            return False
        time.sleep(pause)
        return True

    def close(self) -> None:
        while self._idle:
            self._idle.popleft().disconnect()

    def _take(self) -> WireConnection:
        if self._pid != os.getpid():
            # The parent's connections are not ours to use.
            self._idle, self._pid = deque(), os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return cast(WireConnection, self._pool.make_connection())


def pack(*words: Argument) -> bytes:
    """One command as it is sent."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub forgets the union
    return packed


def pack_parts(words: Sequence[Argument]) -> bytes:
    """Words of a command without its head, so that what is always the same is packed once."""
    if not words:
        return b""
    packed: bytes = hiredis.pack_command(tuple(words))  # type: ignore[arg-type]
    return packed[packed.index(b"\n") + 1 :]
