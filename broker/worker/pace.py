"""How many jobs a process may hold ahead of its threads.

A job held ahead cannot start elsewhere, so the answer is none, unless nearly all jobs are so short
that the wait is shorter than a round trip to the store. A wrong guess costs little: what has waited
too long is handed back (see `holdings`).
"""

#: A job that takes less, in seconds, is short.
SHORT_S = 0.002
#: The share of short jobs above which jobs are held ahead, and how fast the share follows.
MOSTLY, FOLLOW = 0.9, 0.05
#: At 2 ms each, eight threads are through with so many in 24 ms.
MOST_AHEAD = 96


class Pace:
    """Follows how long jobs take."""

    __slots__ = ("_short",)

    def __init__(self) -> None:
        self._short = 0.0

    def observe(self, seconds: float, turns: float = 1.0) -> None:
        """One job has taken so long, in which each thread was through with `turns` jobs: short ones that wait
        for the interpreter lock take long too, but many end meanwhile."""
        self._short += ((seconds < SHORT_S * max(1.0, turns)) - self._short) * FOLLOW

    def ahead(self) -> int:
        """How many jobs may be held that no thread is free for."""
        return MOST_AHEAD if self._short > MOSTLY else 0

    def too_far(self) -> None:
        """A job held ahead had to wait: begin again from none."""
        self._short = 0.0
