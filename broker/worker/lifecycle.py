"""The life of a worker process, under the unmodified `dramatiq` command.

It is a middleware only to hear of boot, of runs and of shutdown. It makes the process's threads (for each
shard an exchange, a listener, signals and relays; one lease keeper); `stop` ends them.
"""

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import dramatiq
from dramatiq import Worker
from dramatiq.broker import MessageProxy

from broker import runs
from broker.following import with_followers
from broker.logs import JobLog, keep_arguments_out
from broker.proxy import JobProxy
from broker.result_cache import with_cached
from broker.worker.alarm import StopAlarm
from broker.worker.chores import Chores
from broker.worker.consumer import QueueConsumer
from broker.worker.exchange import MOST_VERDICTS, Exchange
from broker.worker.holdings import Holdings
from broker.worker.intake import Intake
from broker.worker.interrupts import begin, guard
from broker.worker.leases import WEDGED_S, LeaseKeeper
from broker.worker.ledger import Ledger
from broker.worker.overruns import Overruns
from broker.worker.pace import MOST_AHEAD
from broker.worker.registry import Identity
from broker.worker.relay import Relay
from broker.worker.side import Side
from broker.worker.stop import END_S, Stop, by_command
from broker.worker.unsent import wait_to_send
from broker.worker.verdicts import failed, held, verdict_of
from broker.worker.work_queue import Item, WorkQueue
from jobs.blobs import OPTION as BLOB
from jobs.blobs import BlobMissing
from jobs.events import EventSink
from jobs.model import Retention, Verdict
from jobs.rules import QueueRules, RulesOf, same_rules_for_all
from jobs.store import JobStore

if TYPE_CHECKING:
    from broker.broker import CallboardBroker

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerProcess:
    """How worker processes behave; handed in by the composition root.

    `lease` is what the renewal helper needs to reach the store (empty: nothing renews, for tests).
    `sinks` are the readers of the event stream by name. `serves` picks from all declared queues; `queues`
    names those that have rules, declared or not, for retention. `weights` are of tenants. `overruns` is
    told of runs that cannot be ended.
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
    weights: Mapping[str, float] = field(default_factory=dict)
    queues: Callable[[], Collection[str]] = tuple
    ready: Callable[[], None] = lambda: None
    overruns: Overruns = field(default_factory=Overruns)


class Lifecycle(dramatiq.Middleware):
    """One per broker. A process runs at most one Worker."""

    def __init__(self, broker: "CallboardBroker", process: WorkerProcess) -> None:
        self._broker = broker
        self._process = process
        self._stopped = threading.Event()
        self._worker: Worker | None = None
        self._work = WorkQueue()
        self._ledger: Ledger | None = None
        self._holdings: Holdings | None = None
        self._sides: dict[str, Side] = {}
        self._exchanges: dict[str, Exchange] = {}  # by queue
        self._alarm: StopAlarm | None = None
        self._stop: Stop | None = None
        self._log = JobLog()

    @property
    def relays(self) -> list[Relay]:
        """The readers of the event stream in this process, with their lag."""
        return [relay for side in self._sides.values() for relay in side.relays]

    @property
    def threads(self) -> tuple[int, int]:
        """How many worker threads of this process are free, and how many there are."""
        return self._holdings.threads if self._holdings is not None else (0, 0)

    @property
    def sinks(self) -> Mapping[str, Callable[[], EventSink]]:
        """What opens the sinks of those readers, by name."""
        return self._process.sinks

    def consumer(self, queue: str, timeout_s: float) -> QueueConsumer:
        """A consumer for Dramatiq; the queue is served from its first turn on."""
        # A run that outlives its Worker is settled where it came from, not through the next Worker's.
        settle = partial(self._settle, self._exchanges)
        assert self._holdings is not None
        return QueueConsumer(queue, timeout_s, self._stopped, self._serve, settle, self._holdings.never_began)

    # Runs

    def after_declare_actor(self, broker: dramatiq.Broker, actor: "dramatiq.Actor[..., Any]") -> None:
        guard(actor)

    def before_process_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        runs.begin(message)  # type: ignore[arg-type]  # it is a JobProxy
        begin(message)  # type: ignore[arg-type]
        if BLOB in message.options:
            if self._broker.large is None:
                raise BlobMissing(
                    f"job {message.message_id} is in a blob, but this process has no blob store"
                )
            self._broker.large.fetch(message)  # type: ignore[arg-type]

    # Boot

    def before_worker_boot(self, broker: dramatiq.Broker, worker: Worker) -> None:
        keep_arguments_out()
        process = self._process
        process.ready()
        if process.threads:
            worker.worker_threads = process.threads  # WORKER_CONCURRENCY wins over -t
        if (
            not worker.consumer_whitelist
            and (serves := process.serves(broker.get_declared_queues())) is not None
        ):
            worker.consumer_whitelist = set(serves)
        self._worker = worker
        self._work = WorkQueue()
        worker.work_queue = self._work  # type: ignore[assignment]  # it asks no more of it than is there
        self._stopped.clear()
        self._boot(worker, f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}")

    def _boot(self, worker: Worker, owner: str) -> None:
        process, shards = self._process, self._broker.store.shards
        # What runs, and what has run and is on its way to the store.
        ledger = Ledger(2 * (worker.worker_threads + MOST_AHEAD) + len(shards) * MOST_VERDICTS)
        holdings = Holdings(worker.worker_threads, process.rules_of, ledger)
        self._ledger, self._holdings = ledger, holdings
        identity = Identity(
            owner=owner,
            name=process.name,
            version=process.version,
            threads=worker.worker_threads,
            actors=tuple(sorted(self._broker.actors)),
            readers=tuple(process.sinks),
            queues=worker.consumers.copy,
            running=lambda: holdings.running,
        )
        self._exchanges = {}
        self._sides = {
            shard: self._side(shard, store, identity, holdings, shard if len(shards) > 1 else "")
            for shard, store in shards.items()
        }
        exchanges = [side.exchange for side in self._sides.values()]
        for exchange in exchanges:
            exchange.others = [other for other in exchanges if other is not exchange]

    def _side(self, shard: str, store: JobStore, identity: Identity, holdings: Holdings, name: str) -> Side:
        process = self._process
        chores = Chores(
            store,
            identity,
            holdings.held,
            lambda: self._retention(shard, identity.queues()),
            process.lease_ms,
            process.max_lost,
            keep_only=lambda owned: holdings.keep_only(owned, shard),
            cancel=lambda job_id: exchange.cancel(job_id),
            configuration=lambda: (self._rules(shard), process.weights),
            queues=lambda: self._declared(shard),
            adjusted=lambda adjusted: exchange.adjust(adjusted),
            readers=process.sinks.keys(),
        )
        exchange = Exchange(
            store,
            identity.owner,
            holdings,
            lease_ms=process.lease_ms,
            decode=Intake(
                identity.owner,
                self._broker.actors,
                self._broker.codec,
                process.rules_of,
                store.workers,
                self._broker.notes,
            ),
            start_job=self._start,
            chores=chores,
            outage=chores.outage,
            shard=shard,
            name=f"exchange-{name}" if name else "exchange",
        )
        return Side(store, exchange, process.sinks, name)

    def _rules(self, shard: str) -> dict[str, QueueRules]:
        return {queue: self._process.rules_of(queue) for queue in self._declared(shard)}

    def _declared(self, shard: str) -> list[str]:
        shard_of = self._broker.store.shard_of
        return [queue for queue in sorted(self._broker.get_declared_queues()) if shard_of(queue) == shard]

    def _retention(self, shard: str, served: Iterable[str]) -> dict[str, Retention]:
        # Also of queues that lost their last actor: what they left must not stay for ever.
        queues = {*self._broker.get_declared_queues(), *served, *self._process.queues()}
        shard_of = self._broker.store.shard_of
        return {q: self._process.rules_of(q).retention for q in sorted(queues) if shard_of(q) == shard}

    def after_worker_boot(self, broker: dramatiq.Broker, worker: Worker) -> None:
        for side in self._sides.values():
            side.start()
        keeper = None
        if self._process.lease is not None:
            of_sides = {name: t for side in self._sides.values() for name, t in side.services.items()}
            lease = {
                "owner": next(iter(self._sides.values())).exchange.owner,
                "lease_ms": self._process.lease_ms,
                "wedged_s": WEDGED_S,
                "max_lost": self._process.max_lost,
                "stop_s": self._process.stop_s + END_S,
            }
            keeper = LeaseKeeper(
                self._process.lease,
                lease,
                lambda: of_sides | self._services(worker),
                ledger=self._ledger,
                alarm=self._set_alarm() if by_command() else None,
            )
            keeper.start()
        assert self._holdings is not None
        assert self._ledger is not None
        sides = list(self._sides.values())
        self._stop = Stop(self._holdings, sides, keeper, self._process.stop_s)
        self._process.overruns.begin(self._ledger, self._holdings, sides, keeper, self._process.stop_s)

    def _services(self, worker: Worker) -> dict[str, threading.Thread]:
        """Of the worker and of middleware that has such; those of the sides are known from the start."""
        services: dict[str, threading.Thread] = {}
        for middleware in self._broker.middleware:
            services |= getattr(middleware, "services", {})
        if not self._stopped.is_set():
            services |= {f"worker-{number}": thread for number, thread in enumerate(worker.workers)}
        return services

    def _set_alarm(self) -> StopAlarm | None:
        if self._alarm is None:
            alarm = StopAlarm()
            self._alarm = alarm if alarm.set() else None
        return self._alarm

    # Between Dramatiq and the exchange

    def _serve(self, queue: str) -> None:
        assert self._holdings is not None
        shard = self._broker.store.shard_of(queue)
        self._exchanges[queue] = self._sides[shard].exchange
        self._holdings.serve(queue, shard)
        self._exchanges[queue].look()

    def _start(self, proxy: JobProxy) -> None:
        self._work.put(Item(proxy))

    def _settle(self, exchanges: Mapping[str, Exchange], proxy: JobProxy) -> None:
        rules, verdict = self._process.rules_of(proxy.queue_name), None
        try:
            verdict = verdict_of(proxy, rules, self._broker.actors[proxy.actor_name].options)
            if proxy.cache is not None:
                verdict = with_cached(self._broker.codec, proxy, verdict)
            if proxy.follow:
                verdict = self._followed(proxy, verdict)
            self._log.settled(proxy, verdict)
        except Exception as error:  # noqa: BLE001
            # Without a verdict the job would stay active for as long as this process lives.
            verdict = verdict or failed(proxy, rules, error, again=True)
            logger.error("%s could not be settled as it should: %s", proxy, type(error).__name__)
        if proxy.secret:
            verdict = self._broker.notes.verdict(proxy, verdict)
        exchanges[proxy.queue_name].finished(proxy, verdict)

    def _followed(self, proxy: JobProxy, verdict: Verdict) -> Verdict:
        try:
            return with_followers(proxy, verdict, self._broker.store)
        except Exception as error:  # noqa: BLE001
            # What follows would be lost without a trace: the job runs again instead.
            wait = wait_to_send(proxy, error)
            logger.error("%s runs again: %s", proxy, wait.reason)
            return held(proxy, wait)

    # Stop

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: Worker) -> None:
        """Hand back what was not started at once; give what runs until `stop_s`."""
        self._stopped.set()
        if self._stop is not None:
            self._stop.begin()

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: Worker) -> None:
        stop, self._stop = self._stop, None
        self._worker, self._sides = None, {}
        if stop is not None:
            stop.worker_has_ended()
