"""Whether this process fires. A standby looks each second; a leader stops before its lease could be over."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from database.scheduler_lease import LEASE_S, SchedulerLease, Standing

logger = logging.getLogger("callboard.schedules")

RENEW_S = 2.0
#: A leader that could not renew fires nothing in the last part of its lease, in seconds.
MARGIN_S = 1.0
#: A host whose clock is so much before the database's, in seconds, goes by the database's.
FAST_S = 2.0


def steady_clock() -> float:
    """Seconds that nobody moves, and that also pass while the host sleeps, where there is such a clock."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class Leader:
    """`owner` names this process; `clock` is in seconds, `wall` the clock of this host."""

    def __init__(
        self,
        lease: SchedulerLease,
        owner: str,
        lease_s: float = LEASE_S,
        clock: Callable[[], float] = steady_clock,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        #: By how much this host's clock is fast; nothing, where that is little.
        self.fast = timedelta()
        self.token: int | None = None
        self.owner = owner
        self._lease = lease
        self._lease_s = lease_s
        self._clock = clock
        self._wall = wall
        self._renewed_at = 0.0

    def look(self) -> Standing:
        """Renew the lease, or take it when it is free; how it stood before. Raises DatabaseUnavailable."""
        began, wall = self._clock(), self._wall()
        standing = self._lease.standing()
        self._compare(wall, standing.now)
        if self.token is not None:
            if began - self._renewed_at >= RENEW_S or standing.token != self.token:
                self._renew(self.token, began)
        elif not standing.held and (token := self._lease.take(self.owner)) is not None:
            logger.info("This scheduler fires now (%s, token %d).", self.owner, token)
            self.token, self._renewed_at = token, began
        return standing

    def now(self) -> datetime:
        """The time by which ticks are fired: never much after the database's, for what a fast clock fires is
        fired too early, and what it leaves out is lost."""
        return self._wall() - self.fast

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

    def _compare(self, wall: datetime, database: datetime) -> None:
        ahead = wall - database
        fast = ahead if ahead > timedelta(seconds=FAST_S) else timedelta()
        if fast and not self.fast:
            logger.error(
                "The clock of this host is %.0f s before the database's, whose time counts; set it right.",
                fast.total_seconds(),
            )
        self.fast = fast

    def _renew(self, token: int, began: float) -> None:
        if self._lease.renew(token):
            self._renewed_at = began
        else:
            self.lost()
