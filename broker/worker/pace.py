"""How many jobs a process may hold ahead of its threads.

A job held ahead cannot start elsewhere, so the answer is none, unless nearly all jobs are so short
that the wait is shorter than a round trip to the store. A wrong guess costs little: what has waited
too long is handed back (see `holdings`).
"""

import math

#: A job that takes less, in seconds, is short.
SHORT_S = 0.002
#: The share of short jobs above which jobs are held ahead, and how fast the share follows.
MOSTLY, FOLLOW = 0.9, 0.05
#: What is held ahead shall have started in so many seconds, before it would be handed back …
THROUGH_S = 0.024
#: … and is no more than this. Some of these run while others are settled and fetched: with too few, threads
#: stand still for most of each round trip.
MOST_AHEAD = 256


class Pace:
    """Follows how fast a process with so many threads gets through its jobs."""

    __slots__ = ("_gap", "_long_ended", "_short", "_threads")

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._short = 0.0
        self._gap = 0.0  # from the end of one short job to that of the next, in seconds
        self._long_ended = -math.inf  # when one last ended that was counted as long

    def observe(self, seconds: float, among: int = 1, *, ended: float) -> None:
        """One job has taken so long until `ended` (monotonic) and was one of `among` that ended in that time:
        short ones that wait for the interpreter lock take long too, but many end meanwhile."""
        short = seconds < SHORT_S * max(1.0, among / self._threads)
        if short:
            self._gap += (seconds / among - self._gap) * FOLLOW
        elif ended - self._long_ended < SHORT_S:
            return  # what held up the whole process is no more than one long job
        else:
            self._long_ended = ended
        self._short += (short - self._short) * FOLLOW

    def ahead(self) -> int:
        """How many jobs may be held that no thread is free for."""
        if self._short <= MOSTLY:
            return 0
        return min(MOST_AHEAD, int(THROUGH_S / max(self._gap, 1e-6)))

    def too_far(self) -> None:
        """A job held ahead had to wait: begin again from none."""
        self._short = 0.0
