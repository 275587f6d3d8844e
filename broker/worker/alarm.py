"""Tells the lease helper of a stop signal at the moment it comes, whatever the process is doing.

Python runs a signal's handler when the main thread gets the interpreter lock, which a job may hold for a
minute. The number of the signal is written to the wakeup descriptor before that, without the lock, and the
helper has the other end: it ends a process that does not end by itself.
"""

import os
import signal
import threading

#: What a process manager and Dramatiq's command end a worker with.
STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGHUP})


class StopAlarm:
    """`descriptor` is what the helper inherits; each byte to read there is the number of a signal."""

    def __init__(self) -> None:
        self.descriptor, self._write = os.pipe()
        os.set_blocking(self._write, False)

    def set(self) -> bool:
        """Only the main thread may; False when the process has another use for these signals."""
        if threading.current_thread() is not threading.main_thread():
            return False
        others = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        if others != -1:
            signal.set_wakeup_fd(others)
            return False
        _set.append(self)
        return True


_set: list[StopAlarm] = []


def _unset_in_the_child() -> None:
    # A signal to a process that a job has forked is no stop of this one.
    if _set:
        _set.clear()
        signal.set_wakeup_fd(-1)


os.register_at_fork(after_in_child=_unset_in_the_child)
