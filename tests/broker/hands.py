"""A worker process without Dramatiq: the real exchange and listener, and threads that the test plays."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from broker.codec import Codec
from broker.proxy import JobProxy
from broker.worker.exchange import Exchange
from broker.worker.holdings import Holdings
from broker.worker.listener import Listener
from jobs.model import FetchedJob, NewJob, Outcome, Verdict
from jobs.rules import QueueRules
from jobs.store import JobStore

PAYLOAD = b"[[],{},{},0]"


def a_job(job_id: str, queue: str = "q", **changes: object) -> NewJob:
    return NewJob(job_id, queue, "actor", PAYLOAD, **changes)  # type: ignore[arg-type]


def a_proxy(job_id: str, queue: str = "q", token: int = 1) -> JobProxy:
    """A job as a fetch brings it."""
    return Codec().proxy(FetchedJob(job_id, queue, "actor", PAYLOAD, token, 1, 3, 5, "", 0, 1, 1, 1))


def no_chores(now: float) -> float:
    return now + 60


class Hands:
    """`started` holds what a thread was given; `finish` ends one of them."""

    def __init__(
        self,
        store: JobStore,
        queues: Sequence[str] = ("q",),
        *,
        threads: int = 2,
        rules: Callable[[str], QueueRules] = lambda queue: QueueRules(concurrency=100),
        chores: Callable[[float], float] = no_chores,
        lease_ms: int = 60_000,
    ) -> None:
        """Serves `queues` of a store that is not split."""
        self.started: list[JobProxy] = []
        self.when: dict[str, float] = {}
        self.holdings = Holdings(threads, rules)
        self.exchange = Exchange(
            store,
            f"hands-{uuid.uuid4().hex[:8]}",
            self.holdings,
            lease_ms=lease_ms,
            decode=Codec().proxy,
            start_job=self._start,
            chores=chores,
        )
        self.listener = Listener(store, self.exchange)
        self._store = store
        self._queues = queues
        for queue in queues:
            self.holdings.serve(queue)

    def _start(self, proxy: JobProxy) -> None:
        self.when[proxy.message_id] = time.monotonic()
        self.started.append(proxy)

    @property
    def ids(self) -> list[str]:
        return [proxy.message_id for proxy in self.started]

    def finish(self, number: int = -1, outcome: Outcome = Outcome.COMPLETED, delay_ms: int = 0) -> None:
        job = self.started[number].job
        self.exchange.finished(self.started[number], Verdict(job.id, job.token, outcome, delay_ms))

    def start(self, *, listening: bool = True) -> None:
        self.exchange.start()
        if listening:
            self.listener.start()

    def stop(self) -> None:
        self.exchange.stop_fetching()
        self.listener.stop()
        self.exchange.end()
        self.exchange.ended(20.0)
        if self.listener.is_alive():
            self.exchange.hungry.set()
            self._store.offer(self._queues)  # ends its blocking call
            self.listener.join(20.0)


@contextmanager
def at_work(*all_hands: Hands, listening: bool = False) -> Iterator[None]:
    """Start them, and end them in the end."""
    for hands in all_hands:
        hands.start(listening=listening)
    try:
        yield
    finally:
        for hands in all_hands:
            hands.stop()
            assert not any(map(threading.Thread.is_alive, (hands.exchange, hands.listener)))
