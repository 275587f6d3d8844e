"""When one process started jobs: how many more it may start by a rate of its own."""

from collections import deque

from jobs.rules import Rate


class Starts:
    """An exact log, so that no stretch of the rate's length ever holds more starts. Times are monotonic
    seconds. `rate` may be changed."""

    __slots__ = ("_times", "rate")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._times: deque[float] = deque()

    def add(self, now: float) -> None:
        """A job starts."""
        self._times.append(now)

    def left(self, now: float) -> int:
        """How many may start now."""
        times, since = self._times, now - self.rate.per_ms / 1000
        while times and times[0] <= since:
            times.popleft()
        return self.rate.count - len(times)

    def free_at(self, now: float, ahead: int = 0) -> float:
        """When one more may start than the `ahead` that are about to."""
        missing = ahead + 1 - self.left(now)
        if missing <= 0:
            return now
        # Of those that are about to start nothing is known but that they are not over before a whole stretch.
        oldest = self._times[min(missing, len(self._times)) - 1] if self._times else now
        return oldest + self.rate.per_ms / 1000
