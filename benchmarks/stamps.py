"""How an actor tells the measuring process when it started: one datagram on the machine's monotonic clock."""

import os
import socket
import struct
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

#: The environment variable with the path of the socket.
SOCKET = "BENCH_SOCKET"
LOOK_EVERY_S = 0.02
_LAYOUT = struct.Struct("<qqq")


class Stamp(NamedTuple):
    """The number of a job, when it started in monotonic nanoseconds, and the process that runs it."""

    number: int
    started: int
    pid: int


def send_stamp(number: int) -> None:
    """Called first thing in an actor. Blocks rather than drops when nobody reads."""
    _sender().send(_LAYOUT.pack(number, time.monotonic_ns(), os.getpid()))


def hold_on(number: int) -> None:
    """Say that the job has started and let it run until the measuring process is done with it."""
    send_stamp(number)
    socket_path = Path(os.environ[SOCKET])
    while socket_path.exists():
        time.sleep(LOOK_EVERY_S)


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
        self.release()

    def release(self) -> None:
        """Let go of the jobs that hold on. They can still send what they have to say."""
        with suppress(FileNotFoundError):
            self._path.unlink()

    def receive(self, timeout_s: float) -> Stamp | None:
        """The next stamp; None when none came in time."""
        self._socket.settimeout(timeout_s)
        try:
            return Stamp(*_LAYOUT.unpack(self._socket.recv(_LAYOUT.size)))
        except TimeoutError:
            return None


@cache
def _sender() -> socket.socket:
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.connect(os.environ[SOCKET])
    return sender
