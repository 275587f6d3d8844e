"""How long to wait before the next attempt (CATALOGUE section 1, Backoff)."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

BackoffType = Literal["exponential", "fixed", "linear"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """`delay_ms` before attempt 2; exponential doubles, linear adds it, fixed repeats it."""

    type: BackoffType = "exponential"
    delay_ms: int = 1_000
    max_ms: int = 3_600_000
    jitter: float = 0.0  # 0 to 1: the share of the wait that is random

    def before(self, next_attempt: int, rand: Callable[[], float] = random.random) -> int:
        """Milliseconds to wait before attempt number `next_attempt` (2 is the first retry)."""
        failed = max(1, next_attempt - 1)
        if self.type == "exponential":
            # Beyond 2^40 the cap has long decided; this keeps the integers small.
            wait = self.delay_ms << min(failed - 1, 40)
        elif self.type == "linear":
            wait = self.delay_ms * failed
        else:
            wait = self.delay_ms
        wait = min(wait, self.max_ms)
        return round(wait * (1 - self.jitter * rand()))
