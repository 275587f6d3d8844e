"""The thread that keeps the lease, and says that this process is there. It looks at no wall clock."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from database.errors import DatabaseUnavailable
from database.scheduler_lease import SchedulerLease
from scheduling.leader import Leader
from scheduling.outage import Outage

logger = logging.getLogger("callboard.schedules")

LOOK_S = 1.0
SEEN_S = 5.0


class Keeper(threading.Thread):
    """`news` is called when the lease, or a schedule, has changed; `failed` with what ends this thread."""

    def __init__(
        self,
        lease: SchedulerLease,
        leader: Leader,
        count: Callable[[], int],
        news: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        super().__init__(name="callboard-scheduler-lease", daemon=True)
        self.beat = time.monotonic()
        #: The number of the last change of schedules that was seen.
        self.changes = 0
        self._lease = lease
        self._leader = leader
        self._count = count
        self._news = news
        self._failed = failed
        self._began = datetime.now(UTC)
        self._seen_at = float("-inf")
        self._stopped = threading.Event()
        self._database = Outage("The lease of the scheduler waits for the database")

    def run(self) -> None:
        pause = 0.0
        while not self._stopped.wait(pause):
            self.beat = time.monotonic()
            try:
                self.look()
                self._database.over()
                pause = LOOK_S
            except DatabaseUnavailable as error:
                pause = min(LOOK_S, self._database.failed(error))
            except BaseException as error:  # noqa: BLE001
                self._failed(error)
                return

    def look(self) -> None:
        """Look at the lease once. Raises DatabaseUnavailable."""
        before = self._leader.token
        standing = self._leader.look()
        if self._leader.token != before or standing.changes != self.changes:
            self.changes = standing.changes
            self._news()
        if time.monotonic() - self._seen_at >= SEEN_S:
            self._seen_at = time.monotonic()
            count = self._count() if self._leader.token is not None else 0
            self._lease.seen(self._leader.owner, socket.gethostname(), os.getpid(), self._began, count)

    def stop(self) -> None:
        """End, and let the next scheduler begin at once. Raises DatabaseUnavailable."""
        self._stopped.set()
        self.join(10)
        self._leader.release()
        self._lease.left(self._leader.owner)
