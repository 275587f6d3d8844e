"""What runs under which cap, what started under which rate, what rests, who sleeps until a place is free."""

from bisect import bisect_right, insort
from collections import Counter, defaultdict
from typing import NamedTuple

from jobs.memory.order import LineKey
from jobs.memory.run_limits import Waiter
from jobs.model import Scope
from jobs.rules import Rate

#: The name of a cap, a rate or a pause: what it is of, and its names.
LimitName = tuple[str, ...]


def queue_limit(queue: str) -> LimitName:
    return ("queue", queue)


def share_limit(share: str) -> LimitName:
    return ("share", share)


def lane_limit(queue: str, lane: str) -> LimitName:
    return ("lane", queue, lane)


def gate_limit(lane: str, gate: str) -> LimitName:
    """Of all queues together."""
    return ("gate", lane, gate)


class Rest(NamedTuple):
    """One in `drips` is over for so many jobs, and then on until the `asked`, which were started, have
    asked for what they want; it ends when nobody came until `kept_until`. `waiter` is its place among
    those that wait."""

    until: int
    reason: str
    drips: int | None = None
    asked: int = 0
    waiter: tuple[str, Waiter] | None = None
    kept_until: int = 0

    @property
    def rings_at(self) -> int:
        return self.kept_until if self.drips is not None and self.until == 0 else self.until


class Limits:
    def __init__(self) -> None:
        self.running: Counter[LimitName] = Counter()
        self.rests: dict[Scope, Rest] = {}
        self._starts: dict[LimitName, list[tuple[int, int, str]]] = defaultdict(list)
        self._asleep: dict[LimitName, list[LineKey | str]] = {}
        self._freed: dict[LimitName, None] = {}

    def free(self, name: LimitName) -> None:
        """A job ended: a place under this cap is free."""
        self.running[name] -= 1
        self._freed[name] = None

    def take_freed(self) -> list[LimitName]:
        freed, self._freed = list(self._freed), {}
        return freed

    # Rates

    def rate_left(self, name: LimitName, rate: Rate, now: int) -> int:
        starts = self._starts[name]
        return rate.count - (len(starts) - bisect_right(starts, (now - rate.per_ms + 1,)))

    def rate_free_at(self, name: LimitName, rate: Rate, now: int) -> int:
        """When the next start is allowed: the window begins with the oldest start that counts."""
        starts = self._starts[name]
        return starts[-rate.count][0] + rate.per_ms if len(starts) >= rate.count else now

    def log_start(self, name: LimitName, rate: Rate, start: tuple[int, int, str]) -> None:
        """`start` is its time, the delivery's token and the job's id."""
        starts = self._starts[name]
        del starts[: bisect_right(starts, (start[0] - rate.per_ms + 1,))]
        insort(starts, start)

    def unlog_start(self, name: LimitName, start: tuple[int, int, str]) -> None:
        if start in self._starts[name]:
            self._starts[name].remove(start)

    # Sleep

    def sleep_for(self, name: LimitName, sleeper: LineKey | str) -> None:
        """A line, or a queue by its name, has nothing to do until a place under this cap is free."""
        sleepers = self._asleep.setdefault(name, [])
        if sleeper not in sleepers:
            sleepers.append(sleeper)

    def take_sleepers(self, name: LimitName) -> list[LineKey | str]:
        return self._asleep.pop(name, [])

    # Rests

    def rest(self, scope: Scope, rest: Rest) -> bool:
        """False when a longer one is there."""
        old = self.rests.get(scope)
        if old is not None and old.until >= rest.until:
            return False
        self.rests[scope] = rest
        return True

    def rests_over(self, now: int) -> list[tuple[Scope, int]]:
        return [(scope, rest.rings_at) for scope, rest in self.rests.items() if rest.rings_at <= now]

    def forget(self, queue: str) -> None:
        for scope in [scope for scope in self.rests if scope.queue == queue]:
            del self.rests[scope]
