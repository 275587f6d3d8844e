"""What one process holds: jobs that run, jobs held a moment ahead, verdicts not sent yet.

Shared by the worker threads and the exchanges under one lock, which is held for microseconds. There is
one exchange for each shard of the store; they share the threads, and what one has asked for is reserved.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence

from broker.proxy import JobProxy
from broker.worker.ledger import Ledger
from broker.worker.outbox import Outbox
from broker.worker.pace import Pace
from broker.worker.rooms import Queue, Rooms
from broker.worker.solitude import Solitude
from broker.worker.turns import Turns
from broker.worker.verdicts import cancelled, interrupted, returned
from jobs.model import FetchRequest, Verdict
from jobs.rules import RulesOf, numbers_of

#: Verdicts that are worth a round trip of their own.
SEND_AT = 32
#: Jobs of one fetch: Lua cannot take lists of any length.
MOST_CREDITS = 500
#: A job held ahead this long, in seconds, belongs to whoever has a free thread.
PATIENCE_S = 0.030
#: The shard of a store that is not split.
MAIN = "main"


class Holdings:
    """The jobs and verdicts of one process with `threads` worker threads; `ledger` outlives it."""

    def __init__(self, threads: int, rules_of: RulesOf, ledger: Ledger | None = None) -> None:
        self._threads = threads
        self._rules_of = rules_of
        self._ledger = ledger or Ledger(threads)
        self._pace = Pace(threads)
        self._lock = threading.Lock()
        self._queues: dict[str, Queue] = {}  # that are served
        self._rooms: dict[str, Rooms] = {}  # by shard, as all below
        self._outboxes: dict[str, Outbox] = {}
        self._turns = Turns()
        self._asked: dict[str, int] = {}  # jobs that a fetch on its way may bring
        self._running: dict[str, JobProxy] = {}
        self._ahead: deque[JobProxy] = deque()
        self._solitude = Solitude()
        self._unwanted: set[str] = set()  # cancelled while a fetch was on its way
        self._ended = 0  # runs, ever
        self._accepting = True
        self._adjusted: dict[str, Mapping[str, Mapping[str, object]]] = {}  # by shard and queue
        #: Whether any queue has a rate of this process's own.
        self.rated = False

    def serve(self, queue: str, shard: str = MAIN) -> None:
        """Fetch from this queue from now on."""
        with self._lock:
            shares = [known.share for known in self._queues.values()]
            rooms = self._rooms.setdefault(shard, Rooms())
            added = rooms.add(queue, self._rules_of(queue), self._outbox(shard), shares)
            added.share.change(queue, *numbers_of(added.rules, self._adjusted.get(shard, {}).get(queue, {})))
            self._queues[queue] = added
            self.rated |= added.share.starts is not None

    def adjust(self, adjusted: Mapping[str, Mapping[str, object]], shard: str = MAIN) -> bool:
        """What was adjusted of the numbers that each process keeps for itself, of all queues of a shard; True
        when they are others than before."""
        changed = False
        with self._lock:
            self._adjusted[shard] = adjusted
            for name in self._rooms[shard].queues if shard in self._rooms else ():
                queue = self._queues[name]
                numbers = numbers_of(queue.rules, adjusted.get(name, {}))
                if queue.share.numbers[name] != numbers:
                    queue.share.change(name, *numbers)
                    changed = True
            self.rated = any(queue.share.starts is not None for queue in self._queues.values())
        return changed

    # For worker threads

    def finish(self, proxy: JobProxy, verdict: Verdict, now: float) -> tuple[JobProxy | None, bool]:
        """Queue a verdict. Returns the next job to start, and whether the verdicts should be sent now."""
        with self._lock:
            if self._running.pop(proxy.message_id, None) is None:
                return None, False  # it was handed back by a stop
            queue = self._queues[proxy.queue_name]
            queue.share.running -= 1
            self._ended += 1
            self._pace.observe(now - proxy.started, self._ended - proxy.ended_before, ended=now)
            outbox = queue.outbox
            # As `put` does; a call would cost each job more than these.
            outbox.verdicts.append(verdict)
            outbox.slots.append(proxy.slot)
            outbox.queues.add(proxy.queue_name)
            following = self._next(now) if self._ahead else None
            hungry = len(self._ahead) < self._threads
            return following, hungry or queue.scarce or len(outbox.verdicts) >= SEND_AT

    # For the exchange of a shard

    def request(
        self, owner: str, token: str, lease_ms: int, shard: str = MAIN, *, eager: bool = True
    ) -> FetchRequest | None:
        """What could be fetched now, or None when every thread is spoken for. `receive` or `not_received`
        must follow. `eager`: the shard is known to have work, so that others leave it its part."""
        with self._lock:
            if not self._accepting or self._forbidden(shard):
                return None
            held = len(self._running) + len(self._ahead)
            others = sum(self._asked.values()) - self._asked.get(shard, 0) if self._asked else 0
            free, ahead = self._threads - held - others, self._pace.ahead()
            if len(self._rooms) > 1:
                free = self._turns.part(shard, free, eager, time.monotonic())
            most = min(free + ahead, MOST_CREDITS)
            if most <= 0:
                return None
            rooms = self._rooms.get(shard)
            wanted = rooms.split(ahead) if rooms is not None else {}
            if rooms is not None and self._solitude.sought:
                # Whether there is a suspect is asked of all queues, also of those without room.
                wanted = dict.fromkeys(rooms.queues, 0) | wanted
            if not wanted:
                self._turns.passes(shard)
                return None
            self._asked[shard] = most
            credits = max(0, min(free, most))
            busy = held > 0 or others > 0
            return FetchRequest(owner, token, credits, wanted, lease_ms, most - credits, busy)

    def receive(
        self,
        arrived: Sequence[JobProxy | Verdict],
        now: float,
        shard: str = MAIN,
        *,
        suspect: bool = False,
    ) -> list[JobProxy]:
        """Take in what was fetched (a verdict: it could not be read). Returns the jobs to start."""
        with self._lock:
            self._asked.pop(shard, None)
            self._solitude.heard(shard, suspect, now)
            for proxy in arrived:
                if isinstance(proxy, Verdict):
                    self._outboxes[shard].put(proxy)
                elif proxy.message_id not in self._running:
                    proxy.arrived = now
                    self._ahead.append(proxy)
                    self._queues[proxy.queue_name].share.ahead += 1
                    if proxy.job.lost_leases or self._suspect_here():
                        self._keep_apart(proxy, shard)
            if self._unwanted:
                self._sort_out()
            if not self._accepting:
                self._hand_back(list(self._ahead))
            starting = []
            while (proxy_to_start := self._next(now)) is not None:
                starting.append(proxy_to_start)
            return starting

    def not_received(self, shard: str = MAIN) -> None:
        """The store did not answer a fetch: other shards may have the threads."""
        with self._lock:
            self._asked.pop(shard, None)
            self._turns.passes(shard)
            self._solitude.not_heard(shard)

    def take_verdicts(self, most: int, shard: str = MAIN) -> list[Verdict]:
        """Verdicts to send; `sent` or `not_sent` must follow."""
        with self._lock:
            return self._outbox(shard).take(most)

    def sent(self, shard: str = MAIN) -> set[str]:
        """The store has the verdicts; returns their queues."""
        with self._lock:
            outbox = self._outboxes[shard]
            if self._solitude.job is not None:
                self._solitude.stored(outbox.sending)
            return outbox.sent()

    def not_sent(self, shard: str = MAIN) -> None:
        """The store did not answer: keep the verdicts, in their order."""
        with self._lock:
            self._outboxes[shard].not_sent()
            self._solitude.not_heard(shard)

    def hand_back_stale(self, now: float, shard: str = MAIN) -> bool:
        """Give back jobs held ahead that no thread became free for; True when there were any."""
        with self._lock:
            outbox = self._outbox(shard)
            stale = [
                proxy
                for proxy in self._ahead
                if now - proxy.arrived > PATIENCE_S and self._queues[proxy.queue_name].outbox is outbox
            ]
            if stale:
                self._pace.too_far()
                self._hand_back(stale)
            return bool(stale)

    def keep_only(self, owned: Mapping[str, int], shard: str = MAIN) -> int:
        """After an outage: let go of unstarted jobs that the store has given to others; returns how many."""
        with self._lock:
            outbox = self._outbox(shard)
            lost = [
                proxy
                for proxy in self._ahead
                if self._queues[proxy.queue_name].outbox is outbox
                and owned.get(proxy.message_id) != proxy.job.token
            ]
            for proxy in lost:
                self._let_go(proxy)
            return len(lost)

    # For a stop, and for whoever cancels

    def stop_accepting(self) -> None:
        """Give back what no thread has started; what runs may finish."""
        with self._lock:
            self._accepting = False
            self._hand_back(list(self._ahead))

    def never_began(self, proxy: JobProxy) -> None:
        """Give back a job that was meant for a thread which then ended before it."""
        with self._lock:
            if self._running.pop(proxy.message_id, None) is not None:
                queue = self._queues[proxy.queue_name]
                queue.share.running -= 1
                queue.outbox.put(returned(proxy), proxy.queue_name, proxy.slot)

    def interrupt_running(self, not_before_ms: int = 0, but: Collection[str] = ()) -> list[JobProxy]:
        """Give back what still runs, to start elsewhere; it is too late for any outcome of its own. `but`
        are the ids of jobs that stay as they are."""
        with self._lock:
            running = [proxy for proxy in self._running.values() if proxy.message_id not in but]
            for proxy in running:
                del self._running[proxy.message_id]
                queue = self._queues[proxy.queue_name]
                queue.share.running -= 1
                queue.outbox.put(interrupted(proxy, not_before_ms), proxy.queue_name, proxy.slot)
            return running

    def cancel(self, job_id: str) -> JobProxy | None:
        """Somebody wants a job cancelled: one that is held ahead is settled so; one that runs is returned."""
        with self._lock:
            running = self._running.get(job_id)
            if running is not None:
                running.cancelled = True
                return running
            if self._asked:
                self._unwanted.add(job_id)  # it may be what is on its way
            for proxy in [proxy for proxy in self._ahead if proxy.message_id == job_id]:
                self._let_go(proxy, cancelled(proxy))
            return None

    # For anyone

    def held(self) -> dict[str, int]:
        """Ids and tokens of every delivery this process still answers for."""
        with self._lock:
            held = dict[str, int]()
            for outbox in self._outboxes.values():
                held |= outbox.tokens()
            # Of two deliveries of a job the one that runs is the later.
            return held | {p.job.id: p.job.token for p in (*self._running.values(), *self._ahead)}

    def open_queues(self, shard: str = MAIN) -> list[str]:
        """Queues of a shard of which this process could start a job now."""
        with self._lock:
            return self._rooms[shard].open(self._pace.ahead()) if self._could_start(shard) else []

    def could_start(self, shard: str = MAIN) -> bool:
        """Whether there is such a queue."""
        with self._lock:
            return self._could_start(shard) and self._rooms[shard].any_open(self._pace.ahead())

    def opens_at(self, shard: str = MAIN) -> float:
        """When a thread is free that waits only for a rate of this process's own (monotonic); else inf."""
        with self._lock:
            return self._rooms[shard].opens_at() if self._could_start(shard) else math.inf

    def rounds(self, shard: str = MAIN) -> int:
        """How many fetches ask each queue once: queues that share too little room are asked in turns."""
        rooms = self._rooms.get(shard)
        return rooms.rounds if rooms is not None else 1

    def served(self, shard: str = MAIN) -> int:
        """How many queues are fetched from."""
        return len(self._rooms[shard].queues) if shard in self._rooms else 0

    def unsent(self, shard: str = MAIN) -> int:
        """How many verdicts the shard has not taken yet."""
        return self._outboxes[shard].unsent if shard in self._outboxes else 0

    @property
    def alone(self) -> bool:
        """True while this process fetches nothing because of a job that must run alone."""
        return self._solitude.sought

    @property
    def threads(self) -> tuple[int, int]:
        """Those that nothing is there for, and all."""
        return self._threads - len(self._running) - len(self._ahead), self._threads

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def jobs_running(self) -> list[JobProxy]:
        with self._lock:
            return list(self._running.values())

    @property
    def ahead(self) -> int:
        return len(self._ahead)

    # Inside; the lock is held

    def _outbox(self, shard: str) -> Outbox:
        if shard not in self._outboxes:
            self._outboxes[shard] = Outbox(self._ledger)
        return self._outboxes[shard]

    def _forbidden(self, shard: str) -> bool:
        if not self._solitude.sought:
            return False
        unsent = any(outbox.unsent for outbox in self._outboxes.values())
        empty = not (self._running or self._ahead or unsent or self._asked)
        return self._solitude.forbids(shard, empty, not self._suspect_here(), time.monotonic())

    def _suspect_here(self) -> bool:
        """Whether one runs or is about to; of one that has ended the verdict may be unsent."""
        job = self._solitude.job
        return job is not None and (job in self._running or any(p.message_id == job for p in self._ahead))

    def _could_start(self, shard: str) -> bool:
        held = len(self._running) + len(self._ahead)
        if self._asked:
            held += sum(self._asked.values()) - self._asked.get(shard, 0)
        return (
            self._accepting and held < self._threads and shard in self._rooms and not self._forbidden(shard)
        )

    def _next(self, now: float) -> JobProxy | None:
        if len(self._running) >= self._threads:
            return None
        for position, proxy in enumerate(self._ahead):
            share = self._queues[proxy.queue_name].share
            # A suspect is given to an empty process, which is not to hand it back for its own rate.
            if share.running < share.concurrency and (
                share.starts is None or share.starts.left(now) > 0 or proxy.job.lost_leases
            ):
                if share.starts is not None:
                    share.starts.add(now)
                del self._ahead[position]
                share.ahead -= 1
                share.running += 1
                self._running[proxy.message_id] = proxy
                proxy.started = now
                proxy.ended_before = self._ended
                proxy.slot = self._ledger.start(proxy.message_id, proxy.job.token)
                return proxy
        return None

    def _keep_apart(self, arrived: JobProxy, shard: str) -> None:
        """The last arrival is a suspect, or comes to one."""
        for old in [
            old for old in self._ahead if old.message_id == arrived.message_id and old is not arrived
        ]:
            self._let_go(old)  # its lease was lost, and this is the delivery that counts
        if not self._suspect_here() and not self._running and len(self._ahead) == 1:
            self._solitude.began(arrived.message_id, shard)
        else:
            self._hand_back([arrived])

    def _sort_out(self) -> None:
        for proxy in [proxy for proxy in self._ahead if proxy.message_id in self._unwanted]:
            self._let_go(proxy, cancelled(proxy))
        if not self._asked:
            self._unwanted.clear()

    def _hand_back(self, proxies: list[JobProxy]) -> None:
        for proxy in proxies:
            self._let_go(proxy, returned(proxy))

    def _let_go(self, proxy: JobProxy, verdict: Verdict | None = None) -> None:
        self._ahead.remove(proxy)
        queue = self._queues[proxy.queue_name]
        queue.share.ahead -= 1
        if verdict is not None:
            queue.outbox.put(verdict, proxy.queue_name)
        elif proxy.message_id == self._solitude.job:
            self._solitude.job = None
