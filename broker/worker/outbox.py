"""Verdicts of one shard on their way to it, kept until the store has answered.

Without a lock of its own: `holdings` calls it under the one of the process.
"""

from collections import deque

from broker.worker.ledger import NO_SLOT, Ledger
from jobs.model import Verdict


class Outbox:
    __slots__ = (
        "_ledger",
        "_queues_of_sending",
        "_sending",
        "_slots_of_sending",
        "queues",
        "slots",
        "verdicts",
    )

    def __init__(self, ledger: Ledger) -> None:
        self.verdicts: deque[Verdict] = deque()
        self.queues: set[str] = set()  # of the verdicts
        #: In the ledger, one for each verdict: a job may have two here, when it came again at once.
        self.slots: deque[int] = deque()
        self._ledger = ledger
        self._sending: tuple[Verdict, ...] = ()
        self._slots_of_sending: tuple[int, ...] = ()
        self._queues_of_sending: set[str] = set()

    def put(self, verdict: Verdict, queue: str = "", slot: int = NO_SLOT) -> None:
        """`queue` may have work for others afterwards; `slot` is what the delivery has in the ledger."""
        self.verdicts.append(verdict)
        self.slots.append(slot)
        if queue:
            self.queues.add(queue)

    def take(self, most: int) -> list[Verdict]:
        """The next verdicts to send; `sent` or `not_sent` must follow."""
        count = min(most, len(self.verdicts))
        taken = [self.verdicts.popleft() for _ in range(count)]
        self._sending = tuple(taken)
        self._slots_of_sending = tuple([self.slots.popleft() for _ in range(count)])
        self._queues_of_sending |= self.queues
        self.queues = set()
        return taken

    def sent(self) -> set[str]:
        """The store has what was taken; returns its queues."""
        for slot in self._slots_of_sending:
            self._ledger.settled(slot)
        queues, self._queues_of_sending = self._queues_of_sending, set()
        self._sending, self._slots_of_sending = (), ()
        return queues

    def not_sent(self) -> None:
        """The store did not answer: keep what was taken, in its order."""
        self.verdicts.extendleft(reversed(self._sending))
        self.slots.extendleft(reversed(self._slots_of_sending))
        self._sending, self._slots_of_sending = (), ()

    @property
    def sending(self) -> set[str]:
        """The jobs whose verdicts are on their way."""
        return {verdict.id for verdict in self._sending}

    def tokens(self) -> dict[str, int]:
        """Ids and tokens of the deliveries that wait here."""
        # The later delivery of a job counts, and it is behind the other.
        return {verdict.id: verdict.token for verdict in (*self._sending, *self.verdicts)}

    @property
    def unsent(self) -> int:
        return len(self.verdicts) + len(self._sending)
