"""The one thread of a process that talks to the store about jobs: it settles and fetches in one round trip.

It never holds more jobs than the process can start (`holdings` decides), sends verdicts together and
again until the store has answered, and sleeps when there is nothing to do; a wake-up, a due time or a
verdict ends the sleep. Worker threads call `finished`; everything below "on this thread" is its own.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable

from broker.holdings import Holdings
from broker.proxy import JobProxy
from jobs.errors import CallboardError
from jobs.model import Fetched, FetchedJob, Outcome, Settled, Verdict
from jobs.store import JobStore

logger = logging.getLogger(__name__)

MOST_VERDICTS = 400
#: A few verdicts wait this long, in seconds, for company.
LINGER_S = 0.002
#: Without a wake-up the thread looks by itself: a wake-up may be lost with the process that took it.
POLL_S = 4.0
#: Between two offers of work to idle processes, in seconds.
WAKE_OTHERS_S, NOBODY_IDLE_S = 0.02, 0.25
#: Outcomes after which a job waits again, here or for its time.
PUT_BACK = frozenset({Outcome.RETRY, Outcome.RETURNED, Outcome.INTERRUPTED})
TRY_AGAIN_FIRST_S, TRY_AGAIN_LAST_S = 0.1, 1.0
#: An outage is said once and then each minute.
COMPLAIN_EVERY_S = 60.0


class Exchange(threading.Thread):
    """`decode` turns a fetched job into a proxy (or a verdict when it cannot be read); `start_job` gives
    it to a worker thread; `chores` is called between rounds with a monotonic time and returns when it
    wants to be called again."""

    def __init__(
        self,
        store: JobStore,
        owner: str,
        holdings: Holdings,
        *,
        lease_ms: int,
        decode: Callable[[FetchedJob], JobProxy | Verdict],
        start_job: Callable[[JobProxy], None],
        chores: Callable[[float], float],
    ) -> None:
        super().__init__(name="callboard-exchange", daemon=True)
        self.owner = owner
        self.holdings = holdings
        self.beat = time.monotonic()
        #: Set while the process sleeps for want of work; the listener waits for it.
        self.hungry = threading.Event()
        self._store = store
        self._lease_ms = lease_ms
        self._decode = decode
        self._start_job = start_job
        self._chores = chores
        self._signal = threading.Event()
        self._look = True
        self._token = uuid.uuid4().hex
        self._look_at = 0.0
        self._chores_at = 0.0
        self._wake_others_at = 0.0
        self._offers: set[str] = set()
        self._ending = False
        self._complained_at = 0.0

    # For other threads

    def finished(self, proxy: JobProxy, verdict: Verdict) -> None:
        """A worker thread is done with a job. Starts the next one, if one is held ahead."""
        following, urgent = self.holdings.finish(proxy, verdict, time.monotonic())
        if following is not None:
            self._start_job(following)
        if urgent:
            self._signal.set()

    def look(self) -> None:
        """There may be work: fetch now."""
        self._look = True
        self._signal.set()

    def stop_fetching(self) -> None:
        """Hand back what no thread has started; what runs may finish."""
        self.holdings.stop_accepting()
        self._signal.set()

    def end(self, timeout: float) -> bool:
        """Send the last verdicts and end; False when they could not be sent within `timeout` seconds."""
        self._ending = True
        self._signal.set()
        self.join(timeout)
        return not self.is_alive() and not self.holdings.unsent

    # On this thread

    def run(self) -> None:
        try_again = TRY_AGAIN_FIRST_S
        while True:
            self.beat = time.monotonic()
            try:
                self._round()
            except CallboardError as error:
                self._complain(error)
                self._look = True
                self._pause(try_again)
                try_again = min(try_again * 2, TRY_AGAIN_LAST_S)
                continue
            try_again, self._complained_at = TRY_AGAIN_FIRST_S, 0.0
            if self._ending and not self.holdings.unsent:
                return
            self._sleep()

    def _round(self) -> None:
        now = time.monotonic()
        if now >= self._chores_at and not self._ending:
            self._chores_at = self._chores(now)
        if now >= self._look_at:
            self._look = True
        verdicts = self.holdings.take_verdicts(MOST_VERDICTS)
        try:
            settled, fetched = self._call(verdicts)
        except BaseException:
            self.holdings.not_sent()
            raise
        queues = self.holdings.sent()
        for verdict, answer in zip(verdicts, settled, strict=True):
            if answer is Settled.REFUSED:
                logger.warning("Job %s was run elsewhere: its lease had been lost.", verdict.id)
        # What was put back, or a place under a cap that we do not fill ourselves, is news to idle processes.
        if fetched is None or any(verdict.outcome in PUT_BACK for verdict in verdicts):
            self._offers |= queues
        self._wake_others(fetched)

    def _call(self, verdicts: list[Verdict]) -> tuple[list[Settled], Fetched | None]:
        request = None
        if verdicts or self._look:
            request = self.holdings.request(self.owner, self._token, self._lease_ms)
        if request is None:
            return self._store.settle(self.owner, verdicts), None
        # Before the call: a wake-up that comes while it is on its way is not answered by it.
        self._look = False
        settled, fetched = self._store.settle_and_fetch(verdicts, request)
        # Until the reply is here the token stays, so that a repeat brings the same jobs.
        self._token = uuid.uuid4().hex
        arrived = time.monotonic()
        self._look_at = arrived + POLL_S
        if fetched.next_due is not None:
            self._look_at = min(self._look_at, arrived + max(0, fetched.next_due - fetched.now) / 1000)
        for proxy in self.holdings.receive([self._decode(job) for job in fetched.jobs], arrived):
            self._start_job(proxy)
        return settled, fetched

    def _wake_others(self, fetched: Fetched | None) -> None:
        """Offer to an idle process what this one cannot start now."""
        more = set(fetched.more) if fetched else set()
        open_queues = set(self.holdings.open_queues())
        if more & open_queues:
            self._look = True
        self._offers |= more - open_queues
        now = time.monotonic()
        if self._offers and now >= self._wake_others_at:
            # Where the last offer still lies, nobody is idle; asking again soon would only cost.
            taken = self._store.wake(self._offers)
            self._offers = set()
            self._wake_others_at = now + (WAKE_OTHERS_S if taken else NOBODY_IDLE_S)

    def _sleep(self) -> None:
        now = time.monotonic()
        could_start = bool(self.holdings.open_queues())
        if self.holdings.hand_back_stale(now) or (self._look and could_start):
            return
        until = self._chores_at
        if could_start:
            until = min(until, self._look_at)
            if not self.holdings.unsent:
                self.hungry.set()
        if self.holdings.unsent:
            until = min(until, now + LINGER_S)
        if self.holdings.ahead:
            until = min(until, now + 0.010)
        if self._offers:
            until = min(until, self._wake_others_at)
        self._pause(until - now)
        self.hungry.clear()

    def _complain(self, error: CallboardError) -> None:
        now = time.monotonic()
        if now >= self._complained_at + COMPLAIN_EVERY_S or not self._complained_at:
            self._complained_at = now
            logger.warning("%s Trying again until it answers.", error)

    def _pause(self, seconds: float) -> None:
        self._signal.wait(max(0.0, seconds))
        self._signal.clear()
