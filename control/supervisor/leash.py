"""Start a program that is told to stop when the supervisor itself is killed.

Run as `python -m control.supervisor.leash FD PROGRAM ARGS…`. FD is the reading end of a pipe whose other
end the supervisor holds: a watcher waits for its end and then sends one SIGTERM. Without it a
`kill -9` of the supervisor would leave workers behind that nobody stops.

Linux's parent-death signal would need no watcher, but it comes once for each thread of the parent, and
at a second SIGTERM Dramatiq's workers stop without handing their jobs back.
"""

import os
import signal
import sys
from contextlib import suppress


def main(arguments: list[str]) -> None:
    """Leave a watcher behind, then become the program."""
    lifeline, program = int(arguments[0]), arguments[1:]
    leader = os.getpid()
    between = os.fork()
    if between == 0:
        # Twice, so that the program has no child that it does not know of.
        if os.fork() == 0:
            _watch(lifeline, leader)
        os._exit(0)
    os.waitpid(between, 0)
    os.close(lifeline)
    os.execv(program[0], program)  # noqa: S606 - a shell is what we do not want here


def _watch(lifeline: int, leader: int) -> None:
    """Wait until the supervisor is gone. It stays in the program's group and is ended with it."""
    for inherited in (0, 1, 2):
        os.close(inherited)  # an open output would make the program seem to go on writing
    os.read(lifeline, 1)
    with suppress(ProcessLookupError):
        os.kill(leader, signal.SIGTERM)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
