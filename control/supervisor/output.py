"""One terminal for several processes: each line carries the name of who wrote it."""

import os
import sys
import threading
from collections.abc import Callable
from typing import TextIO

COLOURS = {"callboard": "1", "server": "35", "api": "34", "worker": "32"}
WIDTH = 9


class Terminal:
    """Writes whole lines from many threads. `on_lost` is called once when nobody reads any more."""

    def __init__(self, stream: TextIO | None = None, on_lost: Callable[[], None] = lambda: None) -> None:
        self._stream = stream or sys.stdout
        self._coloured = self._stream.isatty() and "NO_COLOR" not in os.environ
        self._lock = threading.Lock()
        self._on_lost = on_lost
        self._lost = False

    def line(self, name: str, text: str) -> None:
        """Write one line under a name."""
        prefix = f"{name:<{WIDTH}} │"
        if self._coloured:
            prefix = f"\x1b[{COLOURS.get(name.split('-')[0], '36')}m{prefix}\x1b[0m"
        with self._lock:
            if self._lost:
                return
            try:
                self._stream.write(f"{prefix} {text}\n")
                self._stream.flush()
            except (OSError, ValueError):
                # The terminal was closed. Children must still be drained, or they block on a full pipe.
                self._lost = True
        if self._lost:
            self._on_lost()
