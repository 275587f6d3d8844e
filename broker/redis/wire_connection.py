"""A connection for packed commands: commands out, all replies in, and no call between that is not needed.

redis-py makes, authenticates and closes it. What a command costs beyond the kernel's own work would
otherwise be more than half of what a `send()` takes.
"""

import math
import select
import socket
import ssl
import struct
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import hiredis
from redis.exceptions import (
    ConnectionError,  # noqa: A004  Redis's own
    InvalidResponse,
    ResponseError,
)
from redis.exceptions import TimeoutError as TimedOut

from broker.redis.node_connection import NodeConnection

_NOTHING_YET = object()
_READ_AT_ONCE = 65_536
#: How long the kernel waits in one call, in seconds: a clock tick. It begins anew after each signal, so who
#: has waited that long asks in a way that counts on, which would cost each quick call a microsecond.
_LOOK_S = 0.004


class WireConnection(NodeConnection):
    """As NodeConnection, with `exchange` beside redis-py's own verbs; the two do not mix within one call."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._silence = math.inf  # how long the server may say nothing, in seconds
        self._buffer = memoryview(bytearray(_READ_AT_ONCE))
        self._replies: Any = None

    def exchange(self, commands: Iterable[bytes], end: float = math.inf) -> list[Any]:
        """Send packed commands and return their replies; an error reply is in its place, unraised. Each is
        sent as soon as it is there: the server works on it while the next one is packed.
        It must be over at `end` (monotonic), whatever trickles in and however many signals come.

        Raises redis-py's errors of the connection, after which it is closed; connects by itself.
        """
        if self._sock is None:
            self.connect()
        elif self._look_again < time.monotonic():
            self._leave_a_replaced_master()
            if self._sock is None:
                self.connect()
        try:
            sock: Any = self._sock
            count = 0
            for packed in commands:
                try:
                    sent = sock.send(packed)
                except BlockingIOError:
                    sent = 0
                if sent != len(packed):
                    self._send_rest(sock, memoryview(packed)[sent:], end)
                count += 1
            return [self._reply(sock, end) for _ in range(count)]
        except (BlockingIOError, TimeoutError) as error:
            self.disconnect()
            raise TimedOut(f"{self._host_error()} did not answer in time") from error
        except OSError as error:
            self.disconnect()
            raise ConnectionError(f"the connection to {self._host_error()} broke: {error}") from error
        except BaseException:
            # What the server still says would be taken for the answer to the next call.
            self.disconnect()
            raise

    def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
        if self._sock is None:
            super().connect_check_health(check_health, retry_socket_connect)
            self._replies = hiredis.Reader(
                protocolError=InvalidResponse,
                replyError=self._parser.parse_error,
                notEnoughData=_NOTHING_YET,
            )

    def disconnect(self, *reasons: Any) -> None:
        super().disconnect(*reasons)  # type: ignore[no-untyped-call]

    def relax(self, until: float = math.inf) -> None:
        super().relax(until)
        sock, timeout = self._sock, self.socket_timeout
        if sock is None or timeout is None:
            return
        self._silence = sock.gettimeout() or timeout
        if isinstance(sock, ssl.SSLSocket):
            return
        # Python asks the kernel twice, and lets go of the interpreter lock twice, for each look at a socket
        # with a time-out of its own; a socket with the kernel's is asked once.
        limit = struct.pack("ll", 0, round(_LOOK_S * 1_000_000))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        sock.settimeout(None)

    def _send_rest(self, sock: Any, rest: memoryview, end: float) -> None:
        while rest:
            self._wait(sock, select.POLLOUT, end)
            with suppress(BlockingIOError):
                rest = rest[sock.send(rest) :]

    def _reply(self, sock: Any, end: float) -> Any:
        replies = self._replies
        reply = replies.gets()
        while reply is _NOTHING_YET:
            try:
                size = sock.recv_into(self._buffer)
            except BlockingIOError:
                self._wait(sock, select.POLLIN, end)
                continue
            if size == 0:
                raise ConnectionError(f"{self._host_error()} closed the connection")
            replies.feed(self._buffer, 0, size)
            reply = replies.gets()
            if reply is _NOTHING_YET and time.monotonic() > end:
                raise TimeoutError
        if isinstance(reply, ConnectionError):
            raise reply  # such as LOADING: no answer to the command
        if isinstance(reply, ResponseError):
            self._check_place(reply)
        return reply

    def _wait(self, sock: Any, what: int, end: float) -> None:
        """Until the socket is ready. Raises TimeoutError; after a signal it goes on with what is left."""
        left = min(self._silence, end - time.monotonic())
        poll = select.poll()
        poll.register(sock, what)
        if left <= 0 or not poll.poll(math.ceil(left * 1000)):
            raise TimeoutError
