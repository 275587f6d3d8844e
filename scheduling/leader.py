"""Whether this process fires. A standby looks each second; a leader stops before its lease could be over."""

import logging
import time
from collections.abc import Callable

from database.scheduler_lease import LEASE_S, SchedulerLease, Standing

logger = logging.getLogger("callboard.schedules")

RENEW_S = 2.0
#: A leader that could not renew fires nothing in the last part of its lease, in seconds.
MARGIN_S = 1.0


def steady_clock() -> float:
    """Seconds that nobody moves, and that also pass while the host sleeps, where there is such a clock."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class Leader:
    """`owner` names this process; `clock` is in seconds."""

    def __init__(
        self,
        lease: SchedulerLease,
        owner: str,
        lease_s: float = LEASE_S,
        clock: Callable[[], float] = steady_clock,
    ) -> None:
        self.token: int | None = None
        self.owner = owner
        self._lease = lease
        self._lease_s = lease_s
        self._clock = clock
        self._renewed_at = 0.0

    def look(self) -> Standing:
        """Renew the lease, or take it when it is free; how it stood before. Raises DatabaseUnavailable."""
        began = self._clock()
        standing = self._lease.standing()
        if self.token is not None:
            if began - self._renewed_at >= RENEW_S or standing.token != self.token:
                self._renew(self.token, began)
        elif not standing.held and (token := self._lease.take(self.owner)) is not None:
            logger.info("This scheduler fires now (%s, token %d).", self.owner, token)
            self.token, self._renewed_at = token, began
        return standing

    def sure(self) -> bool:
        """Whether nobody else can have the lease now."""
        if self.token is None:
            return False
        return self._clock() - self._renewed_at < self._lease_s - MARGIN_S

    def lost(self) -> None:
        """Somebody else has it: stand by."""
        if self.token is not None:
            logger.warning("Another scheduler has taken over; this one (%s) stands by.", self.owner)
            self.token = None

    def release(self) -> None:
        """Let the next one take over at once. Raises DatabaseUnavailable."""
        token, self.token = self.token, None
        if token is not None:
            self._lease.release(token)

    def _renew(self, token: int, began: float) -> None:
        if self._lease.renew(token):
            self._renewed_at = began
        else:
            self.lost()
