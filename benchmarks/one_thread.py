"""A worker without its threads: jobs are sent, fetched, run, settled and written to the audit by the caller,
over the real server, so that their CPU time can be told to a tenth of a microsecond.
"""

import queue
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from dramatiq.worker import ConsumerThread, WorkerThread

from benchmarks.sides import TEXT, SideFailed, send_all
from broker.worker.intake import Intake
from broker.worker.relay import Relay
from broker.worker.verdicts import verdict_of
from jobs.model import FetchRequest, Verdict, WorkerInfo

if TYPE_CHECKING:
    from actors.composition import App
    from broker.proxy import JobProxy

QUEUE = "cost"
LEASE_MS = 600_000


class Cost(NamedTuple):
    """CPU of this thread for one job, in microseconds, without the server's: to send it, to fetch, run and
    settle it, and to write its events to the sinks."""

    send: float
    run: float
    write: float


def noop(number: int, text: str) -> None:
    """Nothing, so that only the engine is measured."""


class OneThread:
    """One stack, and a worker for it."""

    def __init__(self, app: "App") -> None:
        from actors.declare import actor

        self._app = app
        broker = app.broker
        self._actor = actor(queue=QUEUE, broker=broker)(noop)
        self._owner = f"bench:1:{id(self):x}"
        self._intake = Intake(self._owner, broker.actors, broker.codec, broker.rules_of, list, broker.notes)
        self._settling = _Settling(app)
        consumer = ConsumerThread(
            broker=broker, queue_name=QUEUE, prefetch=1, work_queue=queue.PriorityQueue(), worker_timeout=1000
        )
        consumer.consumer = self._settling  # type: ignore[assignment]  # all that it is asked is `ack`
        self._worker = WorkerThread(
            broker=broker, consumers={QUEUE: consumer}, work_queue=_NoQueue(), worker_timeout=1000
        )
        self._relays = [
            Relay(app.store, sink, reader, self._owner) for reader, sink in broker.lifecycle.sinks.items()
        ]
        self._turns = 0

    def start(self) -> None:
        """What comes before the first job: the lease, and the readers of events."""
        self._app.store.register(WorkerInfo(self._owner, "bench", 1, "", 1, (QUEUE,), 0), LEASE_MS)
        for relay in self._relays:
            relay.prepare()
            while relay.carry():  # what others have left there
                pass
            relay.carry()  # the one before may have found that the server was emptied

    def turn(self, jobs: int) -> Cost:
        """Send so many jobs and run them. Raises SideFailed when not all of them came through."""
        began = time.thread_time()
        send_all(self._app.broker, (self._actor.message(number, TEXT) for number in range(jobs)))
        sent = time.thread_time()
        self._run(jobs)
        settled = time.thread_time()
        for relay in self._relays:
            carried = 0
            while carried < jobs and (count := relay.carry()):
                carried += count
            if carried < jobs:
                raise SideFailed(f"ours ran {jobs} jobs, of which {carried} came to the audit")
        ended = time.thread_time()
        return Cost(
            *((until - since) * 1e6 / jobs for since, until in pairwise((began, sent, settled, ended)))
        )

    def _run(self, jobs: int) -> None:
        store, verdicts = self._app.store, self._settling.verdicts
        self._turns += 1
        token = f"{self._owner}:{self._turns}"
        for job in store.fetch(FetchRequest(self._owner, token, jobs, {QUEUE: jobs}, LEASE_MS)).jobs:
            proxy = self._intake(job)
            if isinstance(proxy, Verdict):
                raise SideFailed("ours sent a job that it cannot read")
            self._worker.process_message(proxy)
        store.settle(self._owner, verdicts)
        if len(verdicts) != jobs:
            raise SideFailed(f"ours ran {len(verdicts)} of {jobs} jobs")
        verdicts.clear()


class _Settling:
    """Dramatiq's view of the queue: keeps the verdicts until all have run."""

    def __init__(self, app: "App") -> None:
        self._broker = app.broker
        self.verdicts: list[Verdict] = []

    def ack(self, proxy: "JobProxy") -> None:
        rules = self._broker.rules_of(QUEUE)
        verdict = verdict_of(proxy, rules, self._broker.actors[proxy.actor_name].options)
        self.verdicts.append(self._broker.notes.verdict(proxy, verdict))

    def nack(self, proxy: "JobProxy") -> None:
        raise SideFailed("ours failed a job that does nothing")


class _NoQueue(queue.PriorityQueue[Any]):
    """Jobs are handed over one by one."""

    def task_done(self) -> None:
        return
