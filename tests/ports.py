"""Ports for the servers that tests start."""

import os
import random
import socket

#: Below the ports that a system gives to connections going out, which could take one between choice and use.
FIRST, EACH = 10_000, 1_500
BUS = 10_000  # a cluster's node listens this much higher too

_given: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on, nor `BUS` above it; never given twice in a run of the tests."""
    first = FIRST + EACH * _part()
    while True:
        port = random.randrange(first, first + EACH)
        if port not in _given and _free(port) and _free(port + BUS):
            _given.add(port)
            return port


def _part() -> int:
    """Which of the processes of `make test` this is: each has ports of its own."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw7").removeprefix("gw")) % 8


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
