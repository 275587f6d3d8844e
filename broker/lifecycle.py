"""The life of a worker process, under the unmodified `dramatiq` command.

It is a middleware only to hear of boot and shutdown. It makes the process's threads (exchange,
listener, lease keeper, relays) and ends them in the order that loses nothing.
"""

import logging
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dramatiq
from dramatiq import Worker

from broker.chores import Chores
from broker.codec import UndecodablePayload
from broker.consumer import QueueConsumer
from broker.exchange import MOST_VERDICTS, Exchange
from broker.holdings import Holdings
from broker.leases import WEDGED_S, LeaseKeeper
from broker.ledger import Ledger
from broker.listener import Listener
from broker.logs import JobLog, keep_arguments_out
from broker.pace import MOST_AHEAD
from broker.proxy import JobProxy
from broker.relay import Relay
from broker.verdicts import verdict_of
from jobs.errors import CallboardError, UnknownActor
from jobs.events import EventSink
from jobs.failures import describe
from jobs.model import FetchedJob, Outcome, Verdict, WorkerInfo
from jobs.rules import RulesOf, same_rules_for_all

if TYPE_CHECKING:
    from broker.broker import CallboardBroker

logger = logging.getLogger(__name__)

#: A job whose actor this release does not know waits this long for a worker that does …
UNKNOWN_ACTOR_DELAY_MS = 3_000
#: … and is dead-lettered when this process has met it for so long and no other took it.
UNKNOWN_ACTOR_S = 60.0
#: What the last verdicts have to reach the store at a stop.
LAST_SEND_S = 3.0


@dataclass(frozen=True)
class WorkerProcess:
    """How worker processes behave; handed in by the composition root.

    `lease` is what the renewal helper needs to reach the store (empty: nothing renews, for tests).
    `sinks` are the readers of the event stream by name. `serves` picks from all declared queues.
    """

    name: str = ""
    version: str = ""
    rules_of: RulesOf = same_rules_for_all
    lease_ms: int = 15_000
    max_lost: int = 3
    stop_s: float = 50.0
    threads: int | None = None
    serves: Callable[[Collection[str]], Collection[str] | None] = lambda queues: None
    lease: Callable[[], Mapping[str, object]] | None = None
    sinks: Mapping[str, Callable[[], EventSink]] = field(default_factory=dict)


class Lifecycle(dramatiq.Middleware):
    """One per broker. A process runs at most one Worker."""

    def __init__(self, broker: "CallboardBroker", process: WorkerProcess) -> None:
        self._broker = broker
        self._process = process
        self._stopped = threading.Event()
        self._worker: Worker | None = None
        self._ledger: Ledger | None = None
        self._holdings: Holdings | None = None
        self._exchange: Exchange | None = None
        self._listener: Listener | None = None
        self._keeper: LeaseKeeper | None = None
        self._relays: list[Relay] = []
        self._log = JobLog()
        self._unknown = Unknown()

    @property
    def relays(self) -> list[Relay]:
        """The readers of the event stream in this process, with their lag."""
        return self._relays

    def consumer(self, queue: str, timeout_s: float) -> QueueConsumer:
        """A consumer for Dramatiq; the queue is served from its first turn on."""
        return QueueConsumer(queue, timeout_s, self._stopped, self._serve, self._settle)

    # Boot

    def before_worker_boot(self, broker: dramatiq.Broker, worker: Worker) -> None:
        keep_arguments_out()
        process = self._process
        if process.threads:
            worker.worker_threads = process.threads  # WORKER_CONCURRENCY wins over -t
        if (
            not worker.consumer_whitelist
            and (serves := process.serves(broker.get_declared_queues())) is not None
        ):
            worker.consumer_whitelist = set(serves)
        self._worker = worker
        self._stopped.clear()
        self._boot(worker, f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}")

    def _boot(self, worker: Worker, owner: str) -> None:
        process, store = self._process, self._broker.store
        started = time.time_ns() // 1_000_000
        # What runs, and what has run and is on its way to the store.
        ledger = Ledger(2 * (worker.worker_threads + MOST_AHEAD) + MOST_VERDICTS)
        self._ledger, self._holdings = ledger, Holdings(worker.worker_threads, process.rules_of, ledger)
        holdings = self._holdings

        def info() -> WorkerInfo:
            host, pid = socket.gethostname(), os.getpid()
            return WorkerInfo(
                owner=owner,
                host=host,
                pid=pid,
                version=process.version,
                threads=worker.worker_threads,
                queues=tuple(sorted(worker.consumers.copy())),
                started_at=started,
                name=process.name or f"{host}:{pid}",
            )

        chores = Chores(
            store,
            info,
            holdings.held,
            lambda: {queue: process.rules_of(queue).retention for queue in worker.consumers},
            process.lease_ms,
            process.max_lost,
        )
        self._exchange = Exchange(
            store,
            owner,
            holdings,
            lease_ms=process.lease_ms,
            decode=self._decode,
            start_job=self._start,
            chores=chores,
        )
        self._listener = Listener(store, self._exchange)
        self._relays = [Relay(store, sink, name, owner) for name, sink in process.sinks.items()]

    def after_worker_boot(self, broker: dramatiq.Broker, worker: Worker) -> None:
        assert self._exchange is not None
        assert self._listener is not None
        services: dict[str, threading.Thread] = {"exchange": self._exchange, "listener": self._listener}
        services |= {relay.name: relay for relay in self._relays}
        for service in services.values():
            service.start()
        if self._process.lease is not None:
            lease = {
                "owner": self._exchange.owner,
                "lease_ms": self._process.lease_ms,
                "wedged_s": WEDGED_S,
                "max_lost": self._process.max_lost,
            }
            self._keeper = LeaseKeeper(self._process.lease, lease, lambda: services, ledger=self._ledger)
            self._keeper.start()

    # Between Dramatiq and the exchange

    def _serve(self, queue: str) -> None:
        assert self._holdings is not None
        assert self._exchange is not None
        self._holdings.serve(queue)
        self._exchange.look()

    def _decode(self, job: FetchedJob) -> JobProxy | Verdict:
        if job.actor not in self._broker.actors:
            if self._unknown.met_for(job.id) < UNKNOWN_ACTOR_S:
                return Verdict(job.id, job.token, Outcome.RETURNED, delay_ms=UNKNOWN_ACTOR_DELAY_MS)
            return self._dead(job, UnknownActor(f"no worker knows an actor named {job.actor!r}"))
        try:
            return self._broker.codec.proxy(job)
        except UndecodablePayload as error:
            logger.error("A job was dead-lettered: %s.", error)
            return self._dead(job, error)

    def _dead(self, job: FetchedJob, error: Exception) -> Verdict:
        dead_letter = self._process.rules_of(job.queue).dead_letter
        record = describe(error).to_record()
        return Verdict(job.id, job.token, Outcome.FAILED, record=record, dead_letter=dead_letter)

    def _start(self, proxy: JobProxy) -> None:
        assert self._worker is not None
        self._worker.consumers[proxy.queue_name].handle_message(proxy)

    def _settle(self, proxy: JobProxy) -> None:
        assert self._exchange is not None
        verdict = verdict_of(proxy, self._process.rules_of(proxy.queue_name))
        self._log.settled(proxy, verdict)
        self._exchange.finished(proxy, verdict)

    # Stop

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: Worker) -> None:
        """Hand back what was not started at once; give what runs until `stop_s`."""
        assert self._exchange is not None
        self._exchange.stop_fetching()
        self._stopped.set()
        threading.Thread(target=self._stop_in_time, name="callboard-stop", daemon=True).start()

    def _stop_in_time(self) -> None:
        exchange, holdings = self._exchange, self._holdings
        assert exchange is not None
        assert holdings is not None
        deadline = time.monotonic() + self._process.stop_s
        while time.monotonic() < deadline:
            if self._exchange is not exchange:
                return  # the worker stopped by itself
            time.sleep(0.2)
        interrupted = holdings.interrupt_running()
        logger.warning(
            "%d jobs still ran after %.0f s and are handed back: %s",
            len(interrupted),
            self._process.stop_s,
            ", ".join(map(str, interrupted)),
        )
        self._end_threads(exchange)
        if "dramatiq.cli" in sys.modules:
            # The threads that still run cannot be ended. A program that runs a Worker of its own goes on.
            os._exit(0)

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: Worker) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self._end_threads(exchange)
        self._worker = None

    def _end_threads(self, exchange: Exchange) -> None:
        assert self._listener is not None
        if self._keeper is not None:
            self._keeper.wind_down()
        self._listener.stop()
        for relay in self._relays:
            relay.stop()
        if not exchange.end(LAST_SEND_S):
            logger.error("Some outcomes could not be sent; those jobs run again when their lease ends.")
        else:
            self._leave(exchange.owner)
        if self._keeper is not None:
            self._keeper.stop()
            self._keeper = None

    def _leave(self, owner: str) -> None:
        try:
            self._broker.store.leave(owner)
        except CallboardError as error:
            logger.warning("The lease ends by itself in a moment: %s", error)


class Unknown:
    """Since when this process has met jobs whose actor it does not know."""

    MOST = 10_000

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def met_for(self, job_id: str) -> float:
        """Seconds since the job was first met here."""
        if len(self._since) > self.MOST:
            self._since.clear()  # a flood of them: begin counting again rather than grow
        now = time.monotonic()
        return now - self._since.setdefault(job_id, now)
