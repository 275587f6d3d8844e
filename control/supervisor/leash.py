"""Start a program that is told to stop when the supervisor itself is killed.

Run as `python -m control.supervisor.leash PARENT_PID PROGRAM ARGS…`. Without it a `kill -9` of the
supervisor would leave workers behind that nobody stops. Linux only; elsewhere it just starts the
program.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Tie this process to its parent, then become the program."""
    parent, program = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "the process could not be tied to its supervisor")
        if os.getppid() != parent:
            sys.exit("the supervisor is gone")  # it died before the tie held
    os.execv(program[0], program)  # noqa: S606 - a shell is what we do not want here


if __name__ == "__main__":
    main(sys.argv[1:])
