"""How many jobs a process may hold ahead of its threads.

A job held ahead cannot start elsewhere, so the answer is none, unless the process turns over all of
its threads within ten milliseconds: then the wait is shorter than a round trip to the store.
"""

from dataclasses import dataclass, field

HORIZON_S = 0.010
WINDOW_S = 0.005
MOST_AHEAD = 128


@dataclass(slots=True)
class Pace:
    """Measures jobs finished per second. `now` is a monotonic time in seconds."""

    threads: int
    _rate: float = 0.0
    _finished: int = 0
    _since: float = field(default=0.0)

    def observe(self, finished: int, now: float) -> None:
        """Count jobs that finished since the last call."""
        self._finished += finished
        elapsed = now - self._since
        if elapsed >= WINDOW_S:
            self._rate = (self._rate + self._finished / elapsed) / 2
            self._finished, self._since = 0, now

    def ahead(self) -> int:
        """How many jobs may be held that no thread is free for."""
        ahead = int(self._rate * HORIZON_S)
        return min(ahead, MOST_AHEAD) if ahead >= self.threads else 0

    def too_far(self) -> None:
        """A job held ahead had to wait: begin again from none."""
        self._rate = 0.0
