"""Dramatiq's own Worker on our broker, in threads of the test's process, without settings and database."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import dramatiq
from dramatiq.middleware import AsyncIO

from broker.actor import CallboardActor
from broker.broker import CallboardBroker
from broker.worker.lifecycle import WorkerProcess
from jobs.rules import RulesOf, same_rules_for_all
from jobs.states import JobState
from jobs.store import JobStore
from middleware.retries import Retries
from middleware.time_limits import TimeLimits

Function = Callable[..., Any]


def a_broker(
    store: JobStore,
    *functions: Function,
    rules_of: RulesOf = same_rules_for_all,
    extra: Sequence[dramatiq.Middleware] = (),
    **process: Any,
) -> CallboardBroker:
    """A broker with an actor for each function, on a queue of its own name."""
    stack = [Retries(rules_of), TimeLimits(rules_of), AsyncIO(), *extra]
    broker = CallboardBroker(store, stack, replace(WorkerProcess(rules_of=rules_of), **process))
    for function in functions:
        dramatiq.actor(
            actor_class=CallboardActor,
            queue_name=function.__name__,
            broker=broker,
            priority=None,  # type: ignore[arg-type]
        )(function)
    return broker


@contextmanager
def at_work(broker: CallboardBroker, threads: int = 4) -> Iterator[dramatiq.Worker]:
    """A worker for all actors of the broker."""
    worker = dramatiq.Worker(broker, worker_threads=threads, worker_timeout=50)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop(timeout=10_000)


def send(broker: CallboardBroker, actor: str, *args: Any, **options: Any) -> str:
    """Add a job; its id."""
    return str(broker.actors[actor].send_with_options(args=args, **options).message_id)


def state_of(store: JobStore, job_id: str) -> JobState | None:
    job = store.get(job_id)
    return None if job is None else job.state
