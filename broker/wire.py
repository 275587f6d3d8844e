"""Commands to Redis with as little between as can be: packed in one buffer, sent, replies read.

redis-py's own client passes every command through a dozen calls, which cost a worker more than its
jobs' settlement. Its connections (TLS, authentication, parsing, time-outs) are used as they are.
"""

import os
from collections import deque
from collections.abc import Sequence
from typing import Any

import redis
from redis.exceptions import ConnectionError, ResponseError, TimeoutError  # noqa: A004  Redis's own

Command = Sequence[str | bytes | int | float]

_AWAY = (ConnectionError, TimeoutError, OSError)


class Wire:
    """Sends commands over connections of `client`'s pool. Safe to use from many threads and after a fork.

    `tries_again`: how often a call is repeated after a lost connection; every verb is idempotent.
    """

    def __init__(self, client: "redis.Redis", tries_again: int = 0) -> None:
        self._pool = client.connection_pool
        self._tries_again = tries_again
        self._idle: deque[Any] = deque()
        self._pid = os.getpid()

    def call(self, commands: Sequence[Command]) -> list[Any]:
        """The replies in order. Raises the first error reply, after all commands have run."""
        for again in range(self._tries_again, -1, -1):
            connection = self._take()
            try:
                replies = self._exchange(connection, commands)
            except _AWAY:
                connection.disconnect()
                self._idle.append(connection)
                if not again:
                    raise
            except BaseException:
                # Something else broke in the middle: what the server still says belongs to nobody.
                connection.disconnect()
                raise
            else:
                self._idle.append(connection)
                break
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise reply
        return replies

    def close(self) -> None:
        while self._idle:
            self._idle.popleft().disconnect()

    def _take(self) -> Any:
        if self._pid != os.getpid():
            # The parent's connections are not ours to use.
            self._idle, self._pid = deque(), os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return self._pool.make_connection()

    def _exchange(self, connection: Any, commands: Sequence[Command]) -> list[Any]:
        # Connects by itself when it is not.
        connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        replies = []
        for _ in commands:
            try:
                replies.append(connection.read_response())
            except ResponseError as error:
                replies.append(error)
        return replies
