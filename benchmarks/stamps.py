"""How an actor tells the measuring process when it started: one datagram on the machine's monotonic clock."""

import os
import socket
import struct
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

#: The environment variable with the path of the socket.
SOCKET = "BENCH_SOCKET"
_LAYOUT = struct.Struct("<qq")  # the job's number, nanoseconds


def send_stamp(number: int) -> None:
    """Called first thing in an actor. Blocks rather than drops when nobody reads."""
    _sender().send(_LAYOUT.pack(number, time.monotonic_ns()))


class Stamps:
    """The receiving end, in the process that measures."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def __enter__(self) -> Self:
        self._socket.bind(str(self._path))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        with suppress(FileNotFoundError):
            self._path.unlink()

    def receive(self, timeout_s: float) -> tuple[int, int] | None:
        """The number of a job and when it started in monotonic nanoseconds; None when none came in time."""
        self._socket.settimeout(timeout_s)
        try:
            number, started = _LAYOUT.unpack(self._socket.recv(_LAYOUT.size))
        except TimeoutError:
            return None
        return number, started


@cache
def _sender() -> socket.socket:
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.connect(os.environ[SOCKET])
    return sender
