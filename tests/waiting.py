"""Wait for a condition instead of sleeping."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Of the time that was waited already a pause is at most this share, and never longer than that.
SHARE, SELDOM_S = 0.03, 0.1


def eventually(probe: Callable[[], T], timeout: float = 20.0, every: float = 0.01) -> T:
    """Call `probe` until it returns something true and return that; fails after `timeout` seconds.

    It is called every so many seconds, and less often the longer it takes: asking is work, which what is
    waited for needs the processor for.
    """
    began = time.monotonic()
    pause = threading.Event()
    while True:
        found = probe()
        if found:
            return found
        waited = time.monotonic() - began
        if waited > timeout:
            raise AssertionError(f"still {found!r} after {timeout} s")
        pause.wait(max(every, min(waited * SHARE, SELDOM_S)))
