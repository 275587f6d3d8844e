"""Run actors in tests with no server at all.

with fake(app.broker) as jobs:          # send() only records
    signup("ada@example.org")
    assert jobs.queued("email-send")
    jobs.run_all()                      # now they run, with the whole stack of middleware

with inline(app.broker):                # send() runs the job at once and raises what it raises
    signup("ada@example.org")
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import dramatiq.asyncio
from dramatiq.middleware import AsyncIO, SkipMessage

from broker import runs
from broker.broker import CallboardBroker
from broker.following import with_followers
from broker.proxy import JobProxy
from broker.result_cache import with_cached
from broker.worker.verdicts import verdict_of
from jobs.memory import MemoryStore, wall_clock_ms
from jobs.model import Accepted, FetchRequest, Job, NewJob, Settled
from jobs.rules import QueueRules, RulesOf
from jobs.states import JobState

OWNER = "test"
#: More runs than this in one `run_all` mean that jobs enqueue each other without end.
MOST_RUNS = 10_000
MOST_LISTED = 1_000_000
#: So long, in seconds, the loop of `async def` actors may take to begin.
LOOP_START_S = 30.0


class FakeJobs:
    """What was sent, and the means to run it. Time stands still unless `advance` moves it."""

    def __init__(self, broker: CallboardBroker, rules_of: RulesOf) -> None:
        self._now = wall_clock_ms()
        self._broker = broker
        self._rules_of = rules_of
        self._runs = 0
        self._configured: dict[str, QueueRules] = {}
        self.store = MemoryStore(lambda: self._now)

    def queued(self, queue: str | None = None) -> list[Job]:
        """Jobs that have not run yet, of one queue or of all."""
        queues = self._broker.get_declared_queues() if queue is None else {queue}
        states = (JobState.WAITING, JobState.DELAYED)
        return [
            job
            for name in sorted(queues)
            for state in states
            for job in self.store.list_jobs(name, state, MOST_LISTED)
        ]

    def advance(self, seconds: float) -> None:
        """Move the clock: delayed jobs and retries fall due, rests end."""
        self._now += round(seconds * 1000)

    def run_all(self) -> int:
        """Run everything that may run now, in the order of a worker, and what it enqueues; returns the
        number of runs. Failures are settled as in a worker (retried, dead-lettered), not raised. Rates do
        not hold anything back, because the clock stands still."""
        runs = 0
        while (proxy := self._next()) is not None:
            self.run(proxy)
            runs += 1
            if runs > MOST_RUNS:
                raise RuntimeError(f"{MOST_RUNS} jobs ran and more keep coming; do they enqueue each other?")
        return runs

    def run(
        self, proxy: JobProxy, follow: Callable[[Sequence[NewJob]], object] | None = None
    ) -> BaseException | None:
        """Run one job through the whole stack and settle it; returns what it raised. `follow` takes the jobs
        that follow from it, which otherwise come with its verdict."""
        run_through(self._broker, proxy)
        raised = proxy.exception
        declared = self._broker.get_actor(proxy.actor_name).options
        verdict = verdict_of(proxy, self._rules_of(proxy.queue_name), declared)
        if proxy.cache is not None:
            verdict = with_cached(self._broker.codec, proxy, verdict)
        if follow is None:
            verdict = with_followers(proxy, verdict, self.store)
        answer = self.store.settle(OWNER, [verdict])
        assert answer == [Settled.STORED]
        if follow is not None and proxy.follow:
            follow(proxy.follow)
        return raised

    def _next(self, queues: Sequence[str] | None = None) -> JobProxy | None:
        self._configure()
        self._runs += 1
        wanted = queues or sorted(self._broker.get_declared_queues())
        request = FetchRequest(OWNER, str(self._runs), 1, dict.fromkeys(wanted, 1))
        for job in self.store.fetch(request).jobs:
            proxy = self._broker.codec.proxy(job)
            proxy.owner = OWNER
            return proxy
        return None

    def _configure(self) -> None:
        rules = {queue: self._rules_of(queue) for queue in self._broker.get_declared_queues()}
        if rules != self._configured:
            self._configured = rules
            unhurried = {
                queue: replace(its, rate=None, lane_rate=None, gate_rate=None) for queue, its in rules.items()
            }
            self.store.configure(unhurried, self._broker.weights)


@contextmanager
def fake(broker: CallboardBroker) -> Iterator[FakeJobs]:
    """`send()` records jobs in memory; run them with `run_all()` or look at them with `queued()`."""
    with _in_memory(broker) as jobs:
        yield jobs


@contextmanager
def inline(broker: CallboardBroker) -> Iterator[FakeJobs]:
    """`send()` runs the job before it returns, whatever its delay, and raises what the job raised."""
    with _in_memory(broker) as jobs:
        accept = broker.accept

        def accept_and_run(new: Sequence[NewJob]) -> list[Accepted]:
            accepted = jobs.store.enqueue([job._replace(delay_ms=0, run_at_ms=None) for job in new])
            for job in new:
                while (proxy := jobs._next([job.queue])) is not None:
                    if raised := jobs.run(proxy, accept_and_run):
                        raise raised
            return accepted

        broker.accept = accept_and_run  # type: ignore[method-assign,assignment]
        try:
            yield jobs
        finally:
            broker.accept = accept  # type: ignore[method-assign]


def run_through(broker: CallboardBroker, proxy: JobProxy) -> None:
    """What a worker thread does with a job, on this thread; the outcome is left on the proxy."""
    try:
        broker.emit_before("process_message", proxy)
        result = None
        if not proxy.failed:
            result = broker.get_actor(proxy.actor_name)(*proxy.args, **proxy.kwargs)
        broker.emit_after("process_message", proxy, result=result)
    except SkipMessage as skipped:
        if proxy.failed:
            proxy.stuff_exception(skipped)
        broker.emit_after("skip_message", proxy)
    except KeyboardInterrupt:
        runs.end(proxy)
        raise
    except BaseException as error:  # noqa: BLE001  whatever an actor raises is its outcome
        proxy.stuff_exception(error)
        broker.emit_after("process_message", proxy, exception=error)


@contextmanager
def _in_memory(broker: CallboardBroker) -> Iterator[FakeJobs]:
    real, jobs = broker.store, FakeJobs(broker, broker.rules_of)
    codec = broker.codec
    seal, codec.seal = codec.seal, None  # nothing leaves this process, and its clock may be moved
    broker.store = jobs.store
    try:
        with _event_loop(broker):
            yield jobs
    finally:
        broker.store, codec.seal = real, seal


@contextmanager
def _event_loop(broker: CallboardBroker) -> Iterator[None]:
    """The loop that `async def` actors need; a worker starts it at boot."""
    wanted = any(isinstance(middleware, AsyncIO) for middleware in broker.middleware)
    if not wanted or dramatiq.asyncio.get_event_loop_thread() is not None:
        yield
        return
    loop = dramatiq.asyncio.EventLoopThread(logging.getLogger(__name__))
    loop.daemon = True  # one that is later still does not keep the process from ending
    loop.start(timeout=LOOP_START_S)
    dramatiq.asyncio.set_event_loop_thread(loop)
    try:
        yield
    finally:
        dramatiq.asyncio.set_event_loop_thread(None)
        loop.stop()  # type: ignore[no-untyped-call]
        loop.join()
