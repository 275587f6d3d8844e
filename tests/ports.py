"""Ports for the servers that tests start."""

import random
import socket

#: Below the ports that a system gives to connections going out, which could take one between choice and use.
FIRST, LAST = 10_000, 21_999
BUS = 10_000  # a cluster's node listens this much higher too

_given: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on, nor `BUS` above it; never the same one twice in a process."""
    while True:
        port = random.randint(FIRST, LAST)
        if port not in _given and _free(port) and _free(port + BUS):
            _given.add(port)
            return port


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
