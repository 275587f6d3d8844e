"""The Dramatiq broker: actors are declared on it, `send()` comes through it, workers consume from it."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import dramatiq
from dramatiq import Message, Middleware
from dramatiq.errors import QueueJoinTimeout
from dramatiq.middleware import MiddlewareError

from broker.codec import Codec
from broker.consumer import QueueConsumer
from broker.lifecycle import Lifecycle, WorkerProcess
from broker.logs import quiet_actor
from broker.options import DRAMATIQ_NAMES, NAMES, JobOptions, check_delay, check_names
from jobs.errors import JobIdTaken, UnknownActor
from jobs.failures import describe
from jobs.ids import check_job_id
from jobs.model import Accepted, Job, NewJob
from jobs.store import JobStore

logger = logging.getLogger(__name__)

#: Hooks in which an exception of a middleware must not be passed over: a failed encryption would
#: send clear text, a failed check would run the job all the same.
FAIL_CLOSED = frozenset(
    {
        "before_enqueue",
        "before_process_message",
        "before_declare_actor",
        "after_declare_actor",
        "before_worker_boot",
    }
)

Hook = Callable[..., None]


class CallboardBroker(dramatiq.Broker):
    """Jobs go to `store`; `middleware` is the ordered stack; `worker` says how a worker process behaves."""

    def __init__(
        self,
        store: JobStore,
        middleware: Sequence[Middleware],
        worker: WorkerProcess,
        codec: Codec | None = None,
    ) -> None:
        self.store = store
        self.codec = codec or Codec()
        self._hooks: dict[str, tuple[tuple[Middleware, Hook], ...]] = {}
        self.lifecycle = Lifecycle(self, worker)
        super().__init__(middleware=[self.lifecycle, *middleware])
        self.actor_options |= NAMES
        self.rules_of = worker.rules_of

    # Producers

    def enqueue(self, message: "Message[Any]", *, delay: int | None = None) -> "Message[Any]":
        """Accept one job. `delay` is in milliseconds. Returns the message with the id it was accepted under.

        Raises the errors of `jobs.errors`. After StoreUnavailable the job may be in all the same (the
        answer was lost): sending the same message again adds it no second time.
        """
        return self.enqueue_many([message], delay=delay)[0]

    def enqueue_many(
        self, messages: "Iterable[Message[Any]]", *, delay: int | None = None
    ) -> "list[Message[Any]]":
        """Accept many jobs in few round trips, in order.

        After an error the first ones may be in; sending the same messages again adds none twice.
        """
        prepared = [self._named(message) for message in messages]
        jobs = []
        for message in prepared:
            self.emit_before("enqueue", message, delay)
            jobs.append(self._job(message, delay))
        self._refuse_taken(jobs, self.accept(jobs))
        for message in prepared:
            self.emit_after("enqueue", message, delay)
        return prepared

    def accept(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        """Hand jobs to the store."""
        return self.store.enqueue(jobs)

    def decode(self, job: Job) -> "Message[Any]":
        """The message of a stored job. Raises UndecodablePayload."""
        return self.codec.message(job)

    # Dramatiq's own verbs

    def declare_actor(self, actor: "dramatiq.Actor[..., Any]") -> None:
        super().declare_actor(actor)
        quiet_actor(actor)

    def declare_queue(self, queue_name: str) -> None:
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = None
            self.emit_after("declare_queue", queue_name)

    def get_actor(self, actor_name: str) -> "dramatiq.Actor[..., Any]":
        return self.actors.get(actor_name) or super().get_actor(actor_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30_000) -> QueueConsumer:
        """A consumer that the process's one fetcher feeds. How much is fetched is not Dramatiq's to say."""
        return self.lifecycle.consumer(queue_name, timeout / 1000)

    def flush(self, queue_name: str) -> None:
        self.store.flush(queue_name)

    def flush_all(self) -> None:
        for queue in self.get_declared_queues():
            self.flush(queue)

    def join(self, queue_name: str, *, timeout: int | None = None) -> None:
        """Wait until a queue has neither waiting, delayed nor active jobs (for tests)."""
        deadline = None if timeout is None else time.monotonic() + timeout / 1000
        while True:
            (stats,) = self.store.stats([queue_name])
            if not stats.waiting + stats.delayed + stats.active:
                return
            if deadline is not None and time.monotonic() > deadline:
                raise QueueJoinTimeout(queue_name)  # type: ignore[no-untyped-call]
            time.sleep(0.02)

    def close(self) -> None:
        self.store.close()

    # Middleware: only those that have a hook are called, and the ones that guard are heard

    def add_middleware(self, middleware: Middleware, **place: Any) -> None:
        super().add_middleware(middleware, **place)
        self._hooks.clear()

    def emit_before(self, signal: str, *args: Any, **kwargs: Any) -> None:
        name = "before_" + signal
        hooks = self._hooks.get(name)
        for middleware, hook in self._hooks_of(name) if hooks is None else hooks:
            try:
                hook(self, *args, **kwargs)
            except MiddlewareError:
                raise
            except Exception as error:
                if name in FAIL_CLOSED:
                    raise
                _complain(name, middleware, error)

    def emit_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        name = "after_" + signal
        if signal == "process_message":
            args[0].result = kwargs.get("result")
        hooks = self._hooks.get(name)
        for middleware, hook in self._hooks_of(name) if hooks is None else hooks:
            try:
                hook(self, *args, **kwargs)
            except Exception as error:
                if name in FAIL_CLOSED:
                    raise
                _complain(name, middleware, error)
                if signal == "process_message":
                    args[0].hook_failed = True

    def _hooks_of(self, name: str) -> tuple[tuple[Middleware, Hook], ...]:
        nothing = getattr(Middleware, name)
        order = self.middleware if name.startswith("before_") else list(reversed(self.middleware))
        hooks = tuple((m, getattr(m, name)) for m in order if getattr(type(m), name, None) is not nothing)
        self._hooks[name] = hooks
        return hooks

    # Inside

    def _named(self, message: "Message[Any]") -> "Message[Any]":
        if message.actor_name not in self.actors:
            raise UnknownActor(f"There is no actor named {message.actor_name!r}.")
        options, actor = message.options, self.actors[message.actor_name]
        if "remove_on_complete" in actor.options:
            options.setdefault("remove_on_complete", actor.options["remove_on_complete"])
        if options:
            check_names(options, NAMES | DRAMATIQ_NAMES | self.actor_options)
        given = options.get("job_id")
        job_id = check_job_id(message.message_id if given is None else given)
        return message if job_id == message.message_id else message.copy(message_id=job_id)

    def _refuse_taken(self, jobs: Sequence[NewJob], accepted: Sequence[Accepted]) -> None:
        """An id that is there already is fine if it is the same job sent again."""
        for job, answer in zip(jobs, accepted, strict=True):
            there = None if answer.created else self.store.get(job.id)
            if there is not None and (there.actor, there.lane) != (job.actor, job.lane):
                raise JobIdTaken(f"job_id {job.id!r} is taken by another job.")

    def _job(self, message: "Message[Any]", delay: int | None) -> NewJob:
        actor, rules = self.get_actor(message.actor_name), self.rules_of(message.queue_name)
        options = JobOptions.of(message.options, actor.options, rules)
        return NewJob(
            id=message.message_id,
            queue=message.queue_name,
            actor=message.actor_name,
            payload=self.codec.encode(message),
            priority=options.priority,
            max_attempts=options.attempts,
            lane=options.tenant_id,
            delay_ms=check_delay(delay),
            run_at_ms=options.run_at,
            dead_letter=rules.dead_letter,
        )


def _complain(hook: str, middleware: Middleware, error: Exception) -> None:
    # The error's own text may quote an argument.
    failure = describe(error)
    logger.error(
        "%s of %s failed: %s\n  %s", hook, type(middleware).__name__, failure.type, "\n  ".join(failure.stack)
    )
