"""What one process holds: jobs that run, jobs held a moment ahead, verdicts not sent yet.

Shared by the worker threads and the exchange under one lock, which is held for microseconds.
"""

import threading
from collections import Counter, deque
from collections.abc import Sequence

from broker.ledger import NO_SLOT, Ledger
from broker.pace import Pace
from broker.proxy import JobProxy
from jobs.model import FetchRequest, Outcome, Verdict
from jobs.rules import QueueRules, RulesOf

INTERRUPTED = b'{"error":{"type":"Interrupted","message":"its worker was stopped while it ran"}}'
#: Verdicts that are worth a round trip of their own.
SEND_AT = 32
#: Jobs of one fetch: Lua cannot take lists of any length.
MOST_CREDITS = 500
#: A job held ahead this long, in seconds, belongs to whoever has a free thread.
PATIENCE_S = 0.030


class Holdings:
    """The jobs and verdicts of one process with `threads` worker threads; `ledger` outlives it."""

    def __init__(self, threads: int, rules_of: RulesOf, ledger: Ledger | None = None) -> None:
        self._threads = threads
        self._rules_of = rules_of
        self._rules: dict[str, QueueRules] = {}  # of the queues that are served
        self._ledger = ledger or Ledger(threads)
        self._pace = Pace()
        self._slots: dict[str, int] = {}  # in the ledger, of verdicts that are not sent yet
        self._lock = threading.Lock()
        self._running: dict[str, JobProxy] = {}
        self._ahead: deque[JobProxy] = deque()
        self._running_of: Counter[str] = Counter()
        self._ahead_of: Counter[str] = Counter()
        self._outbox: deque[Verdict] = deque()
        self._sending: tuple[Verdict, ...] = ()
        self._queues_of_outbox: set[str] = set()
        self._queues_of_sending: set[str] = set()
        self._accepting = True

    def serve(self, queue: str) -> None:
        """Fetch from this queue from now on."""
        with self._lock:
            self._rules[queue] = self._rules_of(queue)

    # For worker threads

    def finish(self, proxy: JobProxy, verdict: Verdict, now: float) -> tuple[JobProxy | None, bool]:
        """Queue a verdict. Returns the next job to start, and whether the verdicts should be sent now."""
        with self._lock:
            if self._running.pop(proxy.message_id, None) is None:
                return None, False  # it was handed back by a stop
            self._running_of[proxy.queue_name] -= 1
            self._slots[verdict.id] = proxy.slot
            self._pace.observe(now - proxy.started)
            self._outbox.append(verdict)
            self._queues_of_outbox.add(proxy.queue_name)
            following = self._next(now) if self._ahead else None
            return following, len(self._outbox) >= SEND_AT or len(self._ahead) < self._threads

    # For the exchange

    def request(self, owner: str, token: str, lease_ms: int) -> FetchRequest | None:
        """What could be fetched now, or None when every thread is spoken for."""
        with self._lock:
            credits = self._threads + self._pace.ahead() - len(self._running) - len(self._ahead)
            credits = min(credits, MOST_CREDITS)
            if credits <= 0 or not self._accepting:
                return None
            wanted = {}
            for queue, rules in self._rules.items():
                room = self._room_in(queue)
                if room > 0:
                    wanted[queue] = (room, rules.global_concurrency)
            return FetchRequest(owner, token, credits, wanted, lease_ms) if wanted else None

    def receive(self, arrived: Sequence[JobProxy | Verdict], now: float) -> list[JobProxy]:
        """Take in what was fetched (a verdict: it could not be read). Returns the jobs to start."""
        with self._lock:
            for proxy in arrived:
                if isinstance(proxy, Verdict):
                    self._outbox.append(proxy)
                elif proxy.message_id not in self._running:
                    proxy.arrived = now
                    self._ahead.append(proxy)
                    self._ahead_of[proxy.queue_name] += 1
            if not self._accepting:
                self._hand_back(list(self._ahead))
            starting = []
            while (proxy_to_start := self._next(now)) is not None:
                starting.append(proxy_to_start)
            return starting

    def take_verdicts(self, most: int) -> list[Verdict]:
        """Verdicts to send; `sent` or `not_sent` must follow."""
        with self._lock:
            taken = [self._outbox.popleft() for _ in range(min(most, len(self._outbox)))]
            self._sending = tuple(taken)
            self._queues_of_sending |= self._queues_of_outbox
            self._queues_of_outbox = set()
            return taken

    def sent(self) -> set[str]:
        """The store has the verdicts; returns their queues."""
        with self._lock:
            for verdict in self._sending:
                self._ledger.settled(self._slots.pop(verdict.id, NO_SLOT))
            queues, self._queues_of_sending = self._queues_of_sending, set()
            self._sending = ()
            return queues

    def not_sent(self) -> None:
        """The store did not answer: keep the verdicts, in their order."""
        with self._lock:
            self._outbox.extendleft(reversed(self._sending))
            self._sending = ()

    def hand_back_stale(self, now: float) -> bool:
        """Give back jobs held ahead that no thread became free for; True when there were any."""
        with self._lock:
            stale = [proxy for proxy in self._ahead if now - proxy.arrived > PATIENCE_S]
            if stale:
                self._pace.too_far()
                self._hand_back(stale)
            return bool(stale)

    def stop_accepting(self) -> None:
        """Give back what no thread has started; what runs may finish."""
        with self._lock:
            self._accepting = False
            self._hand_back(list(self._ahead))

    def interrupt_running(self) -> list[JobProxy]:
        """Give back what still runs, to start elsewhere."""
        with self._lock:
            running = list(self._running.values())
            self._running.clear()
            self._running_of.clear()
            for proxy in running:
                self._slots[proxy.message_id] = proxy.slot
                self._outbox.append(
                    Verdict(proxy.job.id, proxy.job.token, Outcome.INTERRUPTED, record=INTERRUPTED)
                )
                self._queues_of_outbox.add(proxy.queue_name)
            return running

    # For anyone

    def held(self) -> dict[str, int]:
        """Ids and tokens of every delivery this process still answers for."""
        with self._lock:
            held = {proxy.job.id: proxy.job.token for proxy in (*self._running.values(), *self._ahead)}
            return held | {verdict.id: verdict.token for verdict in (*self._outbox, *self._sending)}

    def open_queues(self) -> list[str]:
        """Queues of which this process could start a job now."""
        with self._lock:
            if not self.has_room:
                return []
            return [queue for queue in self._rules if self._room_in(queue) > 0]

    @property
    def has_room(self) -> bool:
        return self._accepting and len(self._running) + len(self._ahead) < self._threads

    @property
    def served(self) -> int:
        """How many queues are fetched from."""
        return len(self._rules)

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def ahead(self) -> int:
        return len(self._ahead)

    @property
    def unsent(self) -> int:
        return len(self._outbox) + len(self._sending)

    # Inside; the lock is held

    def _room_in(self, queue: str) -> int:
        # What is held counts against a cap over all workers, so of such a queue nothing is held ahead.
        rules = self._rules[queue]
        ahead = self._pace.ahead() if rules.global_concurrency is None else 0
        return rules.concurrency + ahead - self._running_of[queue] - self._ahead_of[queue]

    def _next(self, now: float) -> JobProxy | None:
        if len(self._running) >= self._threads:
            return None
        for position, proxy in enumerate(self._ahead):
            if self._running_of[proxy.queue_name] < self._rules[proxy.queue_name].concurrency:
                del self._ahead[position]
                self._ahead_of[proxy.queue_name] -= 1
                self._running_of[proxy.queue_name] += 1
                self._running[proxy.message_id] = proxy
                proxy.started = now
                proxy.slot = self._ledger.start(proxy.message_id, proxy.job.token)
                return proxy
        return None

    def _hand_back(self, proxies: list[JobProxy]) -> None:
        for proxy in proxies:
            self._ahead.remove(proxy)
            self._ahead_of[proxy.queue_name] -= 1
            self._outbox.append(Verdict(proxy.job.id, proxy.job.token, Outcome.RETURNED))
            self._queues_of_outbox.add(proxy.queue_name)
