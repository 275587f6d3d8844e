"""The process that fires schedules: `callboard scheduler`, and `python -m scheduling`."""

import logging
import os
import signal
import socket
import threading
import time
import traceback
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from types import FrameType
from typing import TYPE_CHECKING

from database.engine import ping
from database.errors import DatabaseOutdated, DatabaseUnavailable
from database.migrations import migrate, pending
from database.schedule_history import ScheduleHistory
from database.scheduler_lease import SchedulerLease
from scheduling.declared import declared
from scheduling.engine import Engine
from scheduling.keeper import Keeper
from scheduling.leader import Leader
from scheduling.timer import Timer

if TYPE_CHECKING:
    from actors.composition import App

logger = logging.getLogger("callboard.schedules")

WEDGED_S = 60.0
#: A clock that moves by more than this against the steady one was set, in seconds.
CLOCK_SET_S = 1.0
TIDY_S = 3_600.0
STOP_S = 20.0
DEAD = 70  # exit status of a process that ended itself, EX_SOFTWARE


def run_scheduler(app: "App") -> int:
    """Fire schedules until SIGTERM or SIGINT; the exit status.

    Makes the tables in a SQLite file. Raises StoreUnavailable, DatabaseUnavailable, DatabaseOutdated,
    KeyMissing or SettingsError at the start when what it needs is not there; later it waits for what is away.
    """
    from actors.logs import open_log

    open_log(app.settings)
    _prepare(app)
    stop = threading.Event()
    with _stopped_by_signals(stop):
        process = SchedulerProcess(app)
        process.start()
        while not stop.wait(1.0):
            process.watch()
        process.stop()
    return 0


class SchedulerProcess:
    """The engine with its threads."""

    def __init__(self, app: "App", lease: SchedulerLease | None = None) -> None:
        self._app = app
        lease = lease or SchedulerLease(app.engine())
        owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.leader = Leader(lease, owner)
        self.engine = Engine(app, self.leader.sure, self.leader.lost, self.leader.now)
        self.timer = Timer(self._step, self._die)
        self.keeper = Keeper(lease, self.leader, lambda: self.engine.count, self.timer.wake, self._die)
        self._tidied_at = time.monotonic()
        self._tidy: threading.Thread | None = None
        self._clocks = time.time() - time.monotonic()

    def start(self) -> None:
        """Start the threads."""
        self.timer.start()
        self.keeper.start()

    def stop(self) -> None:
        """End after what is being fired; the lease is free then."""
        ends = threading.Timer(STOP_S, self._die, [TimeoutError(f"it did not stop within {STOP_S:.0f} s")])
        ends.daemon = True
        ends.start()
        self.timer.stop()
        self.engine.rest()
        try:
            self.keeper.stop()
        except DatabaseUnavailable as error:
            logger.warning("The lease could not be given up, and ends by itself: %s", error)
        ends.cancel()

    def watch(self) -> None:
        """Called each second: ends the process when one of its threads does not move any more."""
        now = time.monotonic()
        beats = {"engine": max(self.timer.beat, self.engine.beat), "lease keeper": self.keeper.beat}
        for name, beat in beats.items():
            if now - beat > WEDGED_S:
                self._die(TimeoutError(f"its {name} has not moved for {WEDGED_S:.0f} s"))
        clocks = time.time() - time.monotonic()
        if abs(clocks - self._clocks) > CLOCK_SET_S:
            logger.warning("The clock of this host was set by %+.1f s.", clocks - self._clocks)
            self._clocks = clocks
            self.timer.wake()  # it counts by that clock
        if now - self._tidied_at > TIDY_S and self.leader.token is not None:
            self._tidied_at = now
            self._tidy = threading.Thread(target=self._trim, name="callboard-scheduler-tidy", daemon=True)
            self._tidy.start()

    def _step(self) -> datetime | None:
        due = self.engine.step(self.leader.token, self.keeper.changes)
        return None if due is None else due + self.leader.fast  # the timer goes by this host's clock

    def _trim(self) -> None:
        try:
            for _ in ScheduleHistory(self._app.engine()).trim():
                pass
        except DatabaseUnavailable as error:
            logger.warning("The history of schedules is tidied in an hour: %s", error)

    def _die(self, error: BaseException) -> None:
        """A scheduler that is deaf must not look alive: others take over, and this one is started again."""
        # The error's own text may quote an argument.
        words = str(error) if isinstance(error, TimeoutError) else type(error).__name__
        frames = "".join(traceback.format_tb(error.__traceback__))
        logger.critical("The scheduler ends itself: %s\n%s", words, frames)
        logging.shutdown()
        os._exit(DEAD)


def _prepare(app: "App") -> None:
    engine = app.engine()
    ping(engine)
    if engine.dialect.name == "sqlite":
        migrate(engine)
    elif pending(engine):
        raise DatabaseOutdated(
            "The database lacks tables of this release; migrate it (`callboard up` does so)."
        )
    declared(app)
    app.sealing.seal.ready()
    app.store.stats(sorted(app.broker.get_declared_queues())[:1])


@contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
