"""Dramatiq's view of a queue. It never fetches: the exchange does that for all queues of the process."""

import threading
from collections.abc import Callable, Iterable
from typing import cast

import dramatiq
from dramatiq.broker import MessageProxy

from broker.proxy import JobProxy

#: Dramatiq keeps its consumer threads turning until the last running job has ended, at most a minute.
TURN_AT_STOP_S = 0.1


class QueueConsumer(dramatiq.Consumer):
    """`opened` is called once Dramatiq listens; `settle` takes a job whose run has ended, `hand_back` one
    that no thread came to before the Worker's end."""

    def __init__(
        self,
        queue: str,
        timeout_s: float,
        stopped: threading.Event,
        opened: Callable[[str], None],
        settle: Callable[[JobProxy], None],
        hand_back: Callable[[JobProxy], None],
    ) -> None:
        self._queue = queue
        self._timeout_s = timeout_s
        self._stopped = stopped
        self._opened: Callable[[str], None] | None = opened
        self._settle = settle
        self._hand_back = hand_back
        self._never = threading.Event()

    def __next__(self) -> MessageProxy | None:
        # Only now has Dramatiq's thread kept this consumer, so that jobs can be settled through it.
        if self._opened is not None:
            self._opened(self._queue)
            self._opened = None
        if self._stopped.is_set():
            # Forty threads that came back at once would take the processor from the jobs that finish.
            self._never.wait(TURN_AT_STOP_S)
        else:
            self._stopped.wait(self._timeout_s)
        return None

    def ack(self, message: MessageProxy) -> None:
        """Queue the verdict; the exchange sends it. Never raises for a lost connection."""
        self._settle(cast(JobProxy, message))

    nack = ack

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """What was meant for threads that have ended. All else that had not started is back already."""
        for message in messages:
            self._hand_back(cast(JobProxy, message))

    def close(self) -> None:
        """Nothing: the connection is the exchange's."""
