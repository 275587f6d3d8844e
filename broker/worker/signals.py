"""Hears which jobs somebody wants cancelled, so that a running one ends in well under a second."""

import logging
import threading
import time
from collections.abc import Callable

from jobs.errors import CallboardError
from jobs.store import JobStore

logger = logging.getLogger(__name__)

#: One call lasts this long at most; the end of the process does not wait for it.
LISTEN_MS = 4_000
TRY_AGAIN_S = 0.5


class Signals(threading.Thread):
    """`cancel` is called with each job that shall end; `joined` when the store was joined anew, which a
    server that was away, or lost its data, comes to."""

    def __init__(
        self,
        store: JobStore,
        owner: str,
        cancel: Callable[[str], None],
        joined: Callable[[], None] = lambda: None,
        name: str = "signals",
    ) -> None:
        super().__init__(name=f"callboard-{name}", daemon=True)
        self.beat = time.monotonic()
        self._store = store
        self._owner = owner
        self._cancel = cancel
        self._on_joined = joined
        self._catch_up = False
        self._joined_before = False
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        while not self._stopped.is_set():
            self.beat = time.monotonic()
            try:
                if self._catch_up:
                    self._ask()
                self._store.listen(self._cancel, self._joined, LISTEN_MS)
            except CallboardError as error:
                logger.debug("%s", error)  # the exchange says it aloud
                self._stopped.wait(TRY_AGAIN_S)
            except Exception:
                # A connection that is closed under a listener fails in ways of its own.
                if not self._stopped.is_set():
                    raise

    def _joined(self) -> None:
        if self._joined_before:
            self._on_joined()
        self._joined_before = True
        self._catch_up = True
        self._ask()

    def _ask(self) -> None:
        """What was said while nobody listened."""
        for job_id in self._store.cancels(self._owner):
            self._cancel(job_id)
        self._catch_up = False
