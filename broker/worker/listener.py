"""Waits in the store for new work while the process has none, so that a job starts in milliseconds."""

import logging
import threading
import time

from broker.worker.exchange import Exchange
from jobs.errors import CallboardError
from jobs.store import JobStore

logger = logging.getLogger(__name__)

#: One blocking call lasts this long at most; the end of the process does not wait for it.
BLOCK_MS = 4_000
#: While some queue is at its concurrency and so not listened to: it may have room again in a moment.
BLOCK_PARTLY_MS = 50
TRY_AGAIN_S = 0.5


class Listener(threading.Thread):
    """One blocking call for all queues that the process serves in one shard."""

    def __init__(self, store: JobStore, exchange: Exchange, name: str = "listener") -> None:
        super().__init__(name=f"callboard-{name}", daemon=True)
        self.beat = time.monotonic()
        self._store = store
        self._exchange = exchange
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        while not self._stopped.is_set():
            self.beat = time.monotonic()
            if not self._exchange.hungry.wait(1.0):
                continue
            holdings, shard = self._exchange.holdings, self._exchange.shard
            queues = holdings.open_queues(shard)
            if not queues:
                continue
            try:
                all_open = len(queues) == holdings.served(shard)
                woken = self._store.wait_for_work(queues, BLOCK_MS if all_open else BLOCK_PARTLY_MS)
                if woken is None:
                    continue
                if woken in holdings.open_queues(shard):
                    self._exchange.look()
                else:
                    # The threads filled up meanwhile, or this process stops: pass the wake-up on.
                    self._store.offer([woken])
            except CallboardError as error:
                logger.debug("%s", error)  # the exchange says it aloud
                self._stopped.wait(TRY_AGAIN_S)
                self._exchange.look()
