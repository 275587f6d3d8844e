"""The Dramatiq broker: actors are declared on it, `send()` comes through it, workers consume from it."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import dramatiq
from dramatiq import Message, Middleware
from dramatiq.errors import QueueJoinTimeout
from dramatiq.middleware import MiddlewareError

from broker import runs
from broker.blobs import LargeArguments
from broker.codec import Codec
from broker.following import ENDS, following
from broker.logs import complain, quiet_actor
from broker.notes import Notes
from broker.offer import Offer, TakenBy
from broker.options import NAMES, same_job
from broker.periodic import ACTOR_NAMES, ALONE, Standing, declare_schedule
from broker.proxy import JobProxy
from broker.sent import REMEMBERED_ID, SAME_ID, SAME_KEY, THERE, SentMessage, as_sent
from broker.worker.consumer import QueueConsumer
from broker.worker.lifecycle import Lifecycle, WorkerProcess
from broker.worker.unsent import is_sender, not_sent
from jobs.errors import JobIdTaken, UnknownActor
from jobs.model import Accepted, Job, NewJob
from jobs.rules import QueueRules
from jobs.store import JobStore

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
IsPrivate = Callable[["dramatiq.Actor[..., Any]"], bool]
R = TypeVar("R")


class CallboardBroker(dramatiq.Broker):
    """Jobs go to `store`; `middleware` is the ordered stack; `worker` says how a worker process behaves;
    `is_private` whether an actor's arguments are encrypted where its queue's rules do not say; `large` makes
    what keeps arguments that are too large for the store; `standing` tells of actors' schedules; `taken_by`
    gives arguments the types of an actor's hints, where they are checked."""

    def __init__(
        self,
        store: JobStore,
        middleware: Sequence[Middleware],
        worker: WorkerProcess,
        codec: Codec | None = None,
        is_private: IsPrivate = lambda actor: False,
        large: Callable[[Codec], LargeArguments] | None = None,
        standing: Standing = ALONE,
        taken_by: TakenBy | None = None,
    ) -> None:
        self.store = store
        self.codec = codec or Codec()
        self.notes = Notes(self.codec)
        self.large = large(self.codec) if large is not None else None
        self._is_private = is_private
        self._standing = standing
        self._more_of_offers = {} if taken_by is None else {"taken_by": taken_by}
        self._hooks: dict[str, tuple[tuple[Middleware, Hook], ...]] = {}
        self._offers: dict[str, Offer] = {}
        self.lifecycle = Lifecycle(self, worker)
        super().__init__(middleware=[self.lifecycle, *middleware])
        self.actor_options |= NAMES | ACTOR_NAMES
        self.rules_of = worker.rules_of
        self.weights = worker.weights

    # Producers

    def enqueue(self, message: "Message[R]", *, delay: int | None = None) -> "SentMessage[R]":
        """Accept one job. `delay` is in milliseconds. Returns the message with the id of the job that is
        there, and whether this call created it.

        While a hook decides the end of another job it goes into that one's verdict (broker/following.py).

        Raises the errors of `jobs.errors`. After StoreUnavailable the job may be in all the same (the
        answer was lost): sending the same message again adds it no second time.
        """
        sent, job = self._prepared(message, delay)
        (answer,) = self._accept((job,))
        sent = self._answered(sent, job, answer)
        if not sent.created:
            message.__dict__[THERE] = sent.message_id  # a group asks by the messages that it was made of
        # Also for a job that was there: a middleware that opens something before must hear of the end.
        if self.hooks("after_enqueue"):
            self.emit_after("enqueue", sent, delay)
        return sent

    def enqueue_many(
        self, messages: "Iterable[Message[R]]", *, delay: int | None = None
    ) -> "list[SentMessage[R]]":
        """Accept many jobs in few round trips, in order.

        After an error of the store some may be in; sending the same messages again adds none twice.
        """
        prepared = [self._prepared(message, delay) for message in messages]
        answers = self._accept([job for _, job in prepared])
        sent = [
            self._answered(message, job, answer)
            for (message, job), answer in zip(prepared, answers, strict=True)
        ]
        if self.hooks("after_enqueue"):
            for message in sent:
                self.emit_after("enqueue", message, delay)
        return sent

    def accept(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        """Hand jobs to the store."""
        return self.store.enqueue(jobs)

    def decode(self, job: Job) -> "Message[Any]":
        """The message of a stored job. Raises UndecodablePayload."""
        return self.codec.message(job)

    # Dramatiq's own verbs

    def declare_actor(self, actor: "dramatiq.Actor[..., Any]") -> None:
        name, queue = actor.actor_name, actor.queue_name
        if not ACTOR_NAMES.isdisjoint(actor.options):
            declare_schedule(actor, self.rules_of(queue), self._standing)
        self._offers[name] = self._new_offer(actor, queue, self.rules_of(queue))
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
        while self.store.drain(queue_name):
            pass

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
        self._offers.clear()

    def emit_before(self, signal: str, *args: Any, **kwargs: Any) -> None:
        name = "before_" + signal
        for middleware, hook in self.hooks(name):
            try:
                hook(self, *args, **kwargs)
            except MiddlewareError:
                raise
            except Exception as error:
                if name == "before_process_message":
                    args[0].unstarted = True
                if name in FAIL_CLOSED:
                    raise
                complain(name, middleware, error)

    def emit_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        if signal not in ENDS:
            self._emit_after(signal, *args, **kwargs)
            return
        runs.actor_has_ended(args[0])
        if signal == "process_message":
            args[0].result = kwargs.get("result")
            if "exception" in kwargs:
                kwargs["exception"] = args[0].exception  # of a group the one that decides
        elif args[0].cached:
            signal, kwargs = "process_message", {"result": args[0].result}  # it is done, if not by a run
        following.begin(args[0])
        try:
            self._emit_end("after_" + signal, args[0], kwargs)
        finally:
            following.end()
            runs.end(args[0])

    def _emit_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        name = "after_" + signal
        for middleware, hook in self.hooks(name):
            try:
                hook(self, *args, **kwargs)
            except Exception as error:
                if name in FAIL_CLOSED:
                    raise
                complain(name, middleware, error)

    def _emit_end(self, name: str, proxy: JobProxy, kwargs: dict[str, Any]) -> None:
        ctrl_c: KeyboardInterrupt | None = None
        for middleware, hook in self.hooks(name):
            try:
                hook(self, proxy, **kwargs)
            except BaseException as error:  # noqa: BLE001
                # Nothing is raised in this thread from outside now. What a hook raises by itself, be it
                # SystemExit, must not undo what was done, nor end the thread.
                if isinstance(error, KeyboardInterrupt) and _in_main_thread():
                    ctrl_c = error
                complain(name, middleware, error)
                if error is following.refused or is_sender(middleware, proxy):
                    kwargs = not_sent(self, name, middleware, proxy, error, kwargs)
                elif name == "after_process_message":
                    proxy.hook_failed = True
        if ctrl_c is not None:
            raise ctrl_c

    def hooks(self, name: str) -> tuple[tuple[Middleware, Hook], ...]:
        """The middleware that has a hook of this name, in the order of its calls."""
        hooks = self._hooks.get(name)
        return self._find_hooks(name) if hooks is None else hooks

    def _find_hooks(self, name: str) -> tuple[tuple[Middleware, Hook], ...]:
        nothing = getattr(Middleware, name)
        order = self.middleware if name.startswith("before_") else list(reversed(self.middleware))
        hooks = tuple((m, getattr(m, name)) for m in order if getattr(type(m), name, None) is not nothing)
        self._hooks[name] = hooks
        return hooks

    # Inside

    def _accept(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        return self.accept(jobs) if following.proxy is None else following.take(jobs)

    def _prepared(self, message: "Message[R]", delay: int | None) -> "tuple[SentMessage[R], NewJob]":
        try:
            offer = self._offer(message)
            sent, chosen = offer.named(message)
            before = sent.options.copy()
            for _, hook in self.hooks("before_enqueue"):  # what they raise is the caller's: FAIL_CLOSED
                hook(self, sent, delay)
            if not same_job(before, sent.options):
                sent, chosen = offer.renamed(sent)
            return sent, offer.job(sent, chosen, delay)
        except BaseException as error:
            following.note_refused(error)
            raise

    def _offer(self, message: "Message[Any]") -> Offer:
        name, queue = message.actor_name, message.queue_name
        offer, rules = self._offers.get(name), self.rules_of(queue)
        if offer is None or offer.rules is not rules or offer.queue != queue:
            if name not in self.actors:
                raise UnknownActor(f"There is no actor named {name!r}.")
            offer = self._new_offer(self.actors[name], queue, rules)
            self._offers[name] = offer
        return offer

    def _new_offer(self, actor: "dramatiq.Actor[..., Any]", queue: str, rules: QueueRules) -> Offer:
        known = self.actor_options - ACTOR_NAMES
        return Offer(
            actor,
            queue,
            rules,
            self.codec,
            known,
            self._is_private,
            self.large,
            self.rules_of,
            self.actors,
            **self._more_of_offers,
        )

    def _answered(self, sent: "SentMessage[R]", job: NewJob, answer: Accepted) -> "SentMessage[R]":
        """The message with what became of it. Raises JobIdTaken.

        An id that is there already is fine if it is the same job sent again.
        """
        if not answer.created:
            return as_sent(sent, *answer, reason=self._why_none(job, answer))
        if answer == (sent.message_id, sent.created, sent.replaced):
            return sent
        return as_sent(sent, *answer)

    def _why_none(self, job: NewJob, answer: Accepted) -> str:
        if answer.id != job.id:
            return SAME_KEY
        there = self.store.get(job.id)
        if there is None:
            return REMEMBERED_ID
        if (there.actor, there.lane) != (job.actor, job.lane):
            raise JobIdTaken(f"job_id {job.id!r} is taken by another job.")
        return SAME_ID


def _in_main_thread() -> bool:
    """Where Python raises Ctrl-C: of a test that runs jobs, never of a worker."""
    return threading.current_thread() is threading.main_thread()
