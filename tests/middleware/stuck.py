"""Actors that nothing can end. `dramatiq tests.middleware.stuck` serves them."""

import ctypes
import os
import sys
import threading

from actors.declare import actor


def say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def declare() -> None:
    @actor(attempts=9, time_limit=500)
    def in_a_system_call() -> None:
        """Wait for bytes that never come: no exception can be raised in the thread meanwhile."""
        ours, theirs = os.pipe()
        say(f"stuck in {os.getpid()}")
        os.read(ours, 1)
        os.close(theirs)

    @actor(attempts=9, time_limit=1_600)
    def with_the_interpreter_lock(seconds: int) -> None:
        """Let nothing else in this process move."""
        say(f"holding in {os.getpid()}")
        threading.Event().wait(1.0)  # so that the watch has seen it
        ctypes.PyDLL(None).sleep(seconds)

    @actor(attempts=1)
    def neighbour(seconds: float) -> str:
        say("neighbour began")
        threading.Event().wait(seconds)
        return "done"

    @actor(attempts=1)
    def interruptible() -> None:
        say("interruptible began")
        never = threading.Event()
        while not never.wait(0.02):
            pass


if "dramatiq.cli" in sys.modules:
    import actors  # noqa: F401  sets the broker

    declare()
