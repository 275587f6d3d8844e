"""How many more jobs of each queue this process could start: the room that a fetch may fill.

`concurrency` and `worker_rate` hold for one process; queues of one `share` have them together, and the lowest
of theirs counts. Both can be adjusted while running. The caps and rates over all workers are the store's to
keep. Used by `holdings` under its lock.
"""

import math
import time
from collections import deque
from collections.abc import Iterable

from broker.worker.outbox import Outbox
from broker.worker.starts import Starts
from jobs.rules import QueueRules, Rate, numbers_of


class Share:
    """Queues that have their numbers together; most often a single queue."""

    __slots__ = ("ahead", "concurrency", "name", "numbers", "running", "starts")

    def __init__(self, name: str) -> None:
        self.name = name
        self.concurrency = 1
        self.running = self.ahead = 0
        self.starts: Starts | None = None  # None: no rate
        self.numbers: dict[str, tuple[int, Rate | None]] = {}  # concurrency and rate, by queue

    def change(self, queue: str, concurrency: int, rate: Rate | None) -> None:
        """What holds for one of its queues now."""
        self.numbers[queue] = concurrency, rate
        self.concurrency = min(concurrency for concurrency, _ in self.numbers.values())
        rates = [rate for _, rate in self.numbers.values() if rate is not None]
        if not rates:
            self.starts = None
            return
        slowest = min(rates, key=lambda rate: rate.count / rate.per_ms)
        if self.starts is None:
            self.starts = Starts(slowest)
        self.starts.rate = slowest


class Queue:
    """What a job needs to know of its queue."""

    __slots__ = ("outbox", "rules", "scarce", "share")

    def __init__(self, share: Share, outbox: Outbox, rules: QueueRules) -> None:
        self.share = share
        self.outbox = outbox
        self.rules = rules
        self.scarce = not may_wait(rules)  # the end of a job gives others a place


class Group:
    """The queues of a share that are in one shard."""

    __slots__ = ("may_wait", "queues", "share")

    def __init__(self, share: Share) -> None:
        self.share = share
        self.queues: deque[str] = deque()
        self.may_wait = True

    def room(self, ahead: int) -> int:
        share = self.share
        if share.starts is None:
            return share.concurrency + (ahead if self.may_wait else 0) - share.running - share.ahead
        # Nothing is held ahead: it would wait for its time in a process that cannot start it.
        room = min(share.concurrency - share.running, share.starts.left(time.monotonic()))
        return room - share.ahead


class Rooms:
    """The rooms of the queues of one shard."""

    def __init__(self) -> None:
        self.queues: list[str] = []
        #: How many requests ask each queue once.
        self.rounds = 1
        self._groups: list[Group] = []

    def add(self, queue: str, rules: QueueRules, outbox: Outbox, shares: Iterable[Share]) -> Queue:
        """Serve a queue. `shares` are those that the process has already."""
        name = f"share {rules.share}" if rules.share else f"queue {queue}"
        share = next((share for share in shares if share.name == name), None)
        if share is None:
            share = Share(name)
        share.change(queue, *numbers_of(rules, {}))
        group = next((group for group in self._groups if group.share is share), None)
        if group is None:
            group = Group(share)
            self._groups.append(group)
        if queue not in group.queues:
            group.queues.append(queue)
            self.queues.append(queue)
        group.may_wait &= may_wait(rules)
        return Queue(share, outbox, rules)

    def split(self, ahead: int) -> dict[str, int]:
        """The room of each queue, `ahead` jobs beyond its concurrency where that does no harm.

        The store gives a queue as much as is asked for it, so queues of one share get a part each. Where
        there are more queues than room, some are asked now and the others in the next `rounds`.
        """
        wanted: dict[str, int] = {}
        rounds = 1
        for group in self._groups:
            room = group.room(ahead)
            if room <= 0:
                continue
            queues = group.queues
            if len(queues) == 1:
                wanted[queues[0]] = room
                continue
            asked = min(room, len(queues))
            for number in range(asked):
                wanted[queues[0]] = room // asked + (number < room % asked)
                queues.rotate(-1)
            rounds = max(rounds, -(-len(queues) // asked))
        self.rounds = rounds
        return wanted

    def open(self, ahead: int) -> list[str]:
        """Queues with room."""
        return [queue for group in self._groups if group.room(ahead) > 0 for queue in group.queues]

    def any_open(self, ahead: int) -> bool:
        return any(group.room(ahead) > 0 for group in self._groups)

    def opens_at(self) -> float:
        """When a rate next has room again that has none now, in monotonic seconds."""
        now, soonest = time.monotonic(), math.inf
        for group in self._groups:
            starts, share = group.share.starts, group.share
            if starts is not None and share.running + share.ahead < share.concurrency:
                free_at = starts.free_at(now, share.ahead)
                if free_at > now:
                    soonest = min(soonest, free_at)
        return soonest


def may_wait(rules: QueueRules) -> bool:
    """Whether jobs may be held ahead of threads: not where they would fill places that all workers share."""
    shared = (
        rules.global_concurrency,
        rules.rate,
        rules.lane_concurrency,
        rules.lane_rate,
        rules.gate_concurrency,
        rules.gate_rate,
    )
    return not any(shared)
