"""Carries the event stream to one sink: audit rows now; callbacks, alerts and live views later.

Every worker process runs one for each shard; they share the work. An event is acknowledged only after the
sink has stored it, so a database that is away for minutes loses nothing, and at most one batch is in memory.
"""

import logging
import threading
import time
from collections.abc import Callable

from jobs.errors import CallboardError
from jobs.events import EventSink
from jobs.model import Event
from jobs.store import JobStore

logger = logging.getLogger(__name__)

BATCH = 1_000
#: A small batch waits this long, in seconds, for more: four commits a second do for a busy process.
LINGER_S = 0.25
BLOCK_MS = 4_000
TRY_AGAIN_FIRST_S, TRY_AGAIN_LAST_S = 0.2, 5.0
SAY_AGAIN_S = 60.0  # while it lasts; a log full of the same line hides the others


class Relay(threading.Thread):
    """`reader` names the group that shares the events, `consumer` this process in it. `open_sink` is
    called by `prepare`, or else at the first event."""

    def __init__(
        self,
        store: JobStore,
        open_sink: Callable[[], EventSink],
        reader: str,
        consumer: str,
        name: str = "",
    ) -> None:
        super().__init__(name=f"callboard-{name or reader}", daemon=True)
        #: Events that were written to the stream but not to the sink yet, as last seen.
        self.lag = 0
        self.beat = time.monotonic()
        self._store = store
        self._open_sink = open_sink
        self._sink: EventSink | None = None
        self._reader = reader
        self._consumer = consumer
        self._stopped = threading.Event()
        self._in_hand: list[Event] = []
        self._said: tuple[str, float] | None = None

    def prepare(self) -> None:
        """Open the sink now: its imports would take the interpreter lock from the first jobs."""
        try:
            self._sink = self._sink or self._open_sink()
        except Exception as error:  # noqa: BLE001
            # It is opened again at the first event, and what is wrong is said then as long as it lasts.
            logger.debug("The sink of %s does not open yet: %s", self._reader, type(error).__name__)

    def stop(self) -> None:
        """End after the batch in hand."""
        self._stopped.set()

    def run(self) -> None:
        try_again = TRY_AGAIN_FIRST_S
        while not self._stopped.is_set():
            self.beat = time.monotonic()
            try:
                carried = self.carry(BLOCK_MS)
                try_again, self._said = TRY_AGAIN_FIRST_S, None
                if carried < BATCH and self.lag <= carried:
                    self._stopped.wait(LINGER_S)
            except Exception as error:  # noqa: BLE001
                # Whatever the sink's trouble is, the worker's jobs are not to pay for it.
                if self._stopped.is_set():
                    return
                # Only our own errors are worded without values; a driver's may quote the row.
                reason = error if isinstance(error, CallboardError) else type(error).__name__
                self._say(str(reason))
                self._stopped.wait(try_again)
                try_again = min(try_again * 2, TRY_AGAIN_LAST_S)

    def _say(self, reason: str) -> None:
        now = time.monotonic()
        if self._said is None or self._said[0] != reason or now - self._said[1] >= SAY_AGAIN_S:
            self._said = reason, now
            logger.warning("Events for %s wait: %s", self._reader, reason)

    def carry(self, block_ms: int = 0) -> int:
        """Carry one batch; returns its size. Raises CallboardError when store or sink are away."""
        if not self._in_hand:
            batch = self._store.read_events(self._reader, self._consumer, BATCH, block_ms)
            self.lag, self._in_hand = batch.lag, batch.events
        # While the sink is away the same events are tried again, and no others are taken.
        count = len(self._in_hand)
        if count:
            if self._sink is None:
                self._sink = self._open_sink()
            self.beat = time.monotonic()  # reading them may have taken a while, and so may storing them
            self._sink.write(self._in_hand)
            self.beat = time.monotonic()
            self._store.ack_events(self._reader, [event.id for event in self._in_hand])
            self._in_hand = []
        return count
