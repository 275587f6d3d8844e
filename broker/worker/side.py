"""What one worker process has for one shard of the store: the threads that talk to it, and their end."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from broker.worker.exchange import Exchange
from broker.worker.listener import Listener
from broker.worker.relay import Relay
from broker.worker.signals import Signals
from jobs.errors import CallboardError
from jobs.events import EventSink
from jobs.store import JobStore

logger = logging.getLogger(__name__)

#: What the last verdicts have to reach the store at a stop, and the leave after them, in seconds. A server
#: that does not answer takes three time-outs for each call, which nobody waits for.
LAST_SEND_S, LEAVE_S = 3.0, 1.5


class Side:
    """`name` tells the threads of several shards apart; empty for the only one."""

    def __init__(
        self,
        store: JobStore,
        exchange: Exchange,
        sinks: Mapping[str, Callable[[], EventSink]],
        name: str = "",
    ) -> None:
        def named(role: str) -> str:
            return f"{role}-{name}" if name else role

        self.exchange = exchange
        self.relays = [
            Relay(store, sink, reader, exchange.owner, named(reader)) for reader, sink in sinks.items()
        ]
        self._store = store
        self._listener = Listener(store, exchange, named("listener"))
        self._signals = Signals(
            store, exchange.owner, exchange.cancel, exchange.check_store, named("signals")
        )
        self._left = threading.Event()

    @property
    def services(self) -> dict[str, threading.Thread]:
        """The threads that must live while the process does."""
        threads = (self.exchange, self._listener, self._signals, *self.relays)
        return {thread.name.removeprefix("callboard-"): thread for thread in threads}

    def start(self) -> None:
        for relay in self.relays:
            relay.prepare()
        for service in self.services.values():
            service.start()

    def stop(self) -> None:
        """Ask all threads to end; `exchange.ended` says when the last verdicts are stored."""
        self._listener.stop()
        self._signals.stop()
        for relay in self.relays:
            relay.stop()
        self.exchange.end()

    def leave(self) -> None:
        """Give back the lease, in a thread of its own; see `left`."""
        threading.Thread(target=self._leave, name="callboard-leave", daemon=True).start()

    def left(self, timeout: float) -> bool:
        return self._left.wait(timeout)

    def _leave(self) -> None:
        try:
            self._store.leave(self.exchange.owner)
        except CallboardError as error:
            logger.warning("The lease ends by itself in a moment: %s", error)
        self._left.set()


def end_all(sides: Sequence[Side]) -> None:
    """Send what is left and leave, all shards at once; takes at most LAST_SEND_S + LEAVE_S."""
    for side in sides:
        side.stop()
    deadline = time.monotonic() + LAST_SEND_S
    leaving = []
    for side in sides:
        if side.exchange.ended(max(0.0, deadline - time.monotonic())):
            side.leave()
            leaving.append(side)
        else:
            logger.error("Some outcomes could not be sent; those jobs run again when their lease ends.")
    deadline = time.monotonic() + LEAVE_S
    for side in leaving:
        if not side.left(max(0.0, deadline - time.monotonic())):
            logger.warning("The store did not answer; the lease ends by itself in a moment.")
