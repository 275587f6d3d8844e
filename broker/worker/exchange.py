"""The thread of a process that talks to one shard of the store about jobs: it settles and fetches in one
round trip.

It never holds more jobs than the process can start (`holdings` decides), sends verdicts together and
again until the store has answered, and sleeps when there is nothing to do; a wake-up, a due time or a
verdict ends the sleep. Worker threads call `finished`; everything below "on this thread" is its own.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence

from broker.proxy import JobProxy
from broker.worker.holdings import MAIN, SEND_AT, Holdings
from jobs.errors import CallboardError, JobCancelled
from jobs.model import Fetched, FetchedJob, Outcome, Settled, Verdict
from jobs.store import JobStore

logger = logging.getLogger(__name__)

MOST_VERDICTS = 400
#: A few verdicts wait this long, in seconds, for company.
LINGER_S = 0.002
#: Worker threads with short jobs wait so long at most, in seconds, for this one to take their verdicts: else
#: they hold the interpreter lock until all that is held has run, and then stand still for a round trip.
GIVE_WAY_S = 0.002
#: Without a wake-up the thread looks by itself: a wake-up may be lost with the process that took it.
POLL_S = 4.0
#: Between two offers of work to idle processes, in seconds.
OFFER_S, NOBODY_IDLE_S = 0.02, 0.25
#: Outcomes after which a job waits again, here or for its time.
PUT_BACK = frozenset({Outcome.RETRY, Outcome.RETURNED, Outcome.INTERRUPTED, Outcome.HELD})
TRY_AGAIN_FIRST_S, TRY_AGAIN_LAST_S = 0.1, 1.0
#: How often a process that shall become empty looks whether it is time to ask about that, in seconds.
ALONE_S = 1.0
#: A shard that left its thread to another looks again after so long, in seconds.
TURN_S = 0.002
#: An outage is said once and then each minute.
COMPLAIN_EVERY_S = 60.0


class Exchange(threading.Thread):
    """`decode` turns a fetched job into a proxy (or a verdict when it cannot be read); `start_job` gives
    it to a worker thread; `chores` is called between rounds with a monotonic time and returns when it
    wants to be called again; `outage` is called when the store did not answer."""

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
        outage: Callable[[], None] = lambda: None,
        shard: str = MAIN,
        name: str = "exchange",
    ) -> None:
        super().__init__(name=f"callboard-{name}", daemon=True)
        self.owner = owner
        self.holdings = holdings
        self.shard = shard
        self.beat = time.monotonic()
        #: Set while the process sleeps for want of work; the listener waits for it.
        self.hungry = threading.Event()
        #: Those of the other shards, which share the threads.
        self.others: Sequence[Exchange] = ()
        self._store = store
        self._lease_ms = lease_ms
        self._decode = decode
        self._start_job = start_job
        self._chores = chores
        self._outage = outage
        self._signal = threading.Event()
        self._awake = threading.Event()
        self._look = True
        self._rounds_left = 0
        self._token = uuid.uuid4().hex
        self._look_at = 0.0
        self._chores_at = 0.0
        self._offer_at = 0.0
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
            if self.others:
                self._nudge_others()
            if not self._awake.is_set() and self.holdings.unsent(self.shard) >= SEND_AT:
                self._awake.wait(GIVE_WAY_S)

    def look(self) -> None:
        """There may be work: fetch now."""
        self._look = True
        self._signal.set()

    def cancel(self, job_id: str) -> None:
        """Somebody wants this job cancelled: end it if this process has it."""
        running = self.holdings.cancel(job_id)
        if running is not None:
            logger.info("%s is cancelled while it runs", running)
            running.cancel_reason = running.cancel_reason or self._reason(job_id)
            running.interrupt(JobCancelled)
        elif self.holdings.unsent(self.shard):
            self._signal.set()

    def _reason(self, job_id: str) -> str:
        try:
            job = self._store.get(job_id)
        except CallboardError as error:  # it is cancelled all the same; the store has the reason
            logger.debug("%s", error)
            return ""
        return job.cancel_reason if job is not None else ""

    def adjust(self, adjusted: Mapping[str, Mapping[str, object]]) -> None:
        """What was adjusted of the numbers that this process keeps for itself, by queue."""
        if self.holdings.adjust(adjusted, self.shard):
            self.look()

    def check_store(self) -> None:
        """The connection was new a moment ago: the store may have forgotten this process."""
        self._store_was_away()
        self._signal.set()

    def stop_fetching(self) -> None:
        """Hand back what no thread has started; what runs may finish."""
        self.holdings.stop_accepting()
        self._signal.set()

    def end(self) -> None:
        """Send the last verdicts and end; see `ended`."""
        self._ending = True
        self._signal.set()

    def ended(self, timeout: float) -> bool:
        """False when the last verdicts could not be sent within `timeout` seconds."""
        self.join(timeout)
        return not self.is_alive() and not self.holdings.unsent(self.shard)

    # On this thread

    def run(self) -> None:
        try_again = TRY_AGAIN_FIRST_S
        while True:
            now = time.monotonic()
            if now - self.beat > self._lease_ms / 1000:
                self._store_was_away()  # or rather we: suspended, or held up by a job
            self.beat = now
            try:
                self._round()
            except CallboardError as error:
                self._complain(error)
                self._store_was_away()
                self._look = True
                self._nudge_others()
                self._pause(try_again)
                try_again = min(try_again * 2, TRY_AGAIN_LAST_S)
                continue
            try_again, self._complained_at = TRY_AGAIN_FIRST_S, 0.0
            if self._ending and not self.holdings.unsent(self.shard):
                return
            self._sleep()

    def _store_was_away(self) -> None:
        # The lease may be gone: it is asked for before anything else.
        self._outage()
        self._chores_at = 0.0

    def _round(self) -> None:
        now = time.monotonic()
        if now >= self._chores_at and not self._ending:
            self._chores_at = self._chores(now)
        if now >= self._look_at:
            self._look = True
        verdicts = self.holdings.take_verdicts(MOST_VERDICTS, self.shard)
        alone = self.holdings.alone
        try:
            settled, fetched = self._call(verdicts)
        except BaseException:
            self.holdings.not_sent(self.shard)
            raise
        queues = self.holdings.sent(self.shard)
        for verdict, answer in zip(verdicts, settled, strict=True):
            if answer is Settled.REFUSED:
                logger.warning("Job %s was run elsewhere: its lease had been lost.", verdict.id)
        if alone:
            self._look = True
            self._nudge_others(look=not self.holdings.alone)
        # What was put back, or a place under a cap that we do not fill ourselves, is news to idle processes.
        if fetched is None or any(verdict.outcome in PUT_BACK for verdict in verdicts):
            self._offers |= queues
        self._offer(fetched)

    def _call(self, verdicts: list[Verdict]) -> tuple[list[Settled], Fetched | None]:
        request = None
        if verdicts or self.eager:
            request = self.holdings.request(
                self.owner, self._token, self._lease_ms, self.shard, eager=self.eager
            )
        if request is None:
            if verdicts and self.others:
                self._look = True  # the thread that these made free went to another shard: what is left here?
            return self._store.settle(self.owner, verdicts), None
        # Before the call: a wake-up that comes while it is on its way is not answered by it.
        fresh, self._look = bool(verdicts) or self._look, False
        try:
            settled, fetched = self._store.settle_and_fetch(verdicts, request)
        except BaseException:
            self.holdings.not_received(self.shard)
            raise
        # Until the reply is here the token stays, so that a repeat brings the same jobs.
        self._token = uuid.uuid4().hex
        arrived = time.monotonic()
        self._rounds_left = max(0, (self.holdings.rounds(self.shard) if fresh else self._rounds_left) - 1)
        self._look_at = arrived + POLL_S
        if fetched.next_due is not None:
            self._look_at = min(self._look_at, arrived + max(0, fetched.next_due - fetched.now) / 1000)
        jobs = [self._decode(job) for job in fetched.jobs]
        for proxy in self.holdings.receive(jobs, arrived, self.shard, suspect=fetched.suspect):
            self._start_job(proxy)
        if fetched.suspect:
            self._look = True  # as soon as this process is empty
        self._nudge_others()
        return settled, fetched

    def _offer(self, fetched: Fetched | None) -> None:
        """Offer to an idle process what this one cannot start now."""
        if fetched is not None and fetched.more:
            more, open_queues = set(fetched.more), set(self.holdings.open_queues(self.shard))
            if more & open_queues:
                self._look = True
            self._offers |= more - open_queues
        if fetched is not None and fetched.watch:
            self._offers.add(fetched.watch)
        if self._offers:
            now = time.monotonic()
            if now >= self._offer_at:
                # Where the last offer still lies, nobody is idle; asking again soon would only cost.
                taken = self._store.offer(self._offers)
                self._offers = set()
                self._offer_at = now + (OFFER_S if taken else NOBODY_IDLE_S)

    def _sleep(self) -> None:
        now = time.monotonic()
        could_start = self.holdings.could_start(self.shard)
        if self.holdings.hand_back_stale(now, self.shard):
            return
        if self.eager and could_start:
            if self.others:
                self._pause(TURN_S)  # it may be another shard's turn
            return
        until = self._chores_at
        unsent = self.holdings.unsent(self.shard)
        if could_start:
            until = min(until, self._look_at)
            if not unsent:
                self.hungry.set()
        elif self.holdings.alone:
            until = min(until, now + ALONE_S)
        if self.holdings.rated:
            opens_at = self.holdings.opens_at(self.shard)
            self._look_at = min(self._look_at, opens_at)
            until = min(until, opens_at)
        if unsent:
            until = min(until, now + LINGER_S)
        if self.holdings.ahead:
            until = min(until, now + 0.010)
        if self._offers:
            until = min(until, self._offer_at)
        self._pause(until - now)
        self.hungry.clear()

    def _nudge_others(self, *, look: bool = False) -> None:
        """There may be a thread for the other shards now."""
        for other in self.others:
            if look:
                other.look()
            elif other.eager:
                other._signal.set()

    @property
    def eager(self) -> bool:
        """Whether its shard is known, or thought, to have work."""
        return self._look or self._rounds_left > 0

    def _complain(self, error: CallboardError) -> None:
        now = time.monotonic()
        if now >= self._complained_at + COMPLAIN_EVERY_S or not self._complained_at:
            self._complained_at = now
            logger.warning("%s Trying again until it answers.", error)

    def _pause(self, seconds: float) -> None:
        self._awake.clear()
        self._signal.wait(max(0.0, seconds))
        self._awake.set()
        self._signal.clear()
