"""Verdicts of one shard on their way to it, kept until the store has answered.

Without a lock of its own: `holdings` calls it under the one of the process.
"""

from collections import deque

from broker.worker.ledger import NO_SLOT, Ledger
from jobs.model import Verdict


class Outbox:
    __slots__ = ("_ledger", "_queues_of_sending", "_sending", "queues", "slots", "verdicts")

    def __init__(self, ledger: Ledger) -> None:
        self.verdicts: deque[Verdict] = deque()
        self.queues: set[str] = set()  # of the verdicts
        self.slots: dict[str, int] = {}  # in the ledger, by job
        self._ledger = ledger
        self._sending: tuple[Verdict, ...] = ()
        self._queues_of_sending: set[str] = set()

    def put(self, verdict: Verdict, queue: str, slot: int = NO_SLOT) -> None:
        self.verdicts.append(verdict)
        self.queues.add(queue)
        if slot != NO_SLOT:
            self.slots[verdict.id] = slot

    def take(self, most: int) -> list[Verdict]:
        """The next verdicts to send; `sent` or `not_sent` must follow."""
        taken = [self.verdicts.popleft() for _ in range(min(most, len(self.verdicts)))]
        self._sending = tuple(taken)
        self._queues_of_sending |= self.queues
        self.queues = set()
        return taken

    def sent(self) -> set[str]:
        """The store has what was taken; returns its queues."""
        for verdict in self._sending:
            self._ledger.settled(self.slots.pop(verdict.id, NO_SLOT))
        queues, self._queues_of_sending = self._queues_of_sending, set()
        self._sending = ()
        return queues

    def not_sent(self) -> None:
        """The store did not answer: keep what was taken, in its order."""
        self.verdicts.extendleft(reversed(self._sending))
        self._sending = ()

    @property
    def sending(self) -> set[str]:
        """The jobs whose verdicts are on their way."""
        return {verdict.id for verdict in self._sending}

    def tokens(self) -> dict[str, int]:
        """Ids and tokens of the deliveries that wait here."""
        return {verdict.id: verdict.token for verdict in (*self.verdicts, *self._sending)}

    @property
    def unsent(self) -> int:
        return len(self.verdicts) + len(self._sending)
