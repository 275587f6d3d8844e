"""A job on its way through a worker: Dramatiq's MessageProxy with the lease and the verdict."""

from collections.abc import Callable
from contextvars import Token
from typing import Any

from dramatiq import Message
from dramatiq.broker import MessageProxy

from broker.worker.interrupts import NOT_RUNNING, interrupt
from broker.worker.ledger import NO_SLOT
from jobs.error_groups import telling
from jobs.hiding import Arguments
from jobs.model import FetchedJob, NewJob, Verdict
from jobs.scope import Scope


class JobProxy(MessageProxy):
    """What middleware gets. `verdict` is what will be settled; a middleware may set or replace it.

    `detail` and `progress` ride along with the settlement. Attributes are plain: going through
    MessageProxy's `__getattr__` to a frozen Message would cost more than the rest of the hooks.
    """

    # What few jobs need, or what most leave as it is, is kept by the class until then.
    failed = False
    verdict: Verdict | None = None
    result: Any = None
    detail = b""
    progress: bytes | None = None
    hook_failed = False
    unstarted = False  # a hook has kept it from its run
    arrived = started = 0.0  # monotonic seconds
    ended_before = 0  # how many runs of the process had ended when it started
    slot = NO_SLOT  # in the ledger
    _exception: BaseException | None = None
    hidden: Arguments | None = None  # its arguments, once a text was told without them
    owner = ""  # the process that holds the lease
    cancelled = False  # somebody wants it cancelled; an actor may look
    cancel_reason = ""  # as they said
    on_cancel: list[Callable[[], Any]] | None = None  # what the actor wants done then
    patience_until = 0.0  # monotonic seconds: before, a cancelled run is not interrupted again
    milestones: tuple[tuple[float, int], ...] = ()
    steps: Any = None  # set by the middleware of this name, as are the next two
    log: Any = None
    reporter: Any = None  # of progress
    log_chunks = 0
    step_run: Any = None  # the steps of this run, once there is one
    under_way: Any = None  # what must end before it does, once it has such
    over = 0  # once its actor has ended: the thread that decides what becomes of it
    outer: "JobProxy | None" = None  # the run in which it is run, in a test
    code = ""  # the kind of its failure, set by whoever decided about it
    deadline_at: float | None = None  # monotonic seconds, for a job that has one
    cost: tuple[float, str] | None = None  # amount and unit, as the actor reported it
    limiter: Any = None  # set by the limits middleware, as are the next two
    limit_turn: Any = None
    limit_forgotten: Exception | None = None
    pause: tuple[int, str] | None = None  # in place of a retry: ms that its provider asked for, and why
    probe = False  # the breaker of its provider lets this delivery alone try
    brief = False  # its permits are short: they are given back as soon as it has run
    trace_id = ""  # set by the telemetry middleware, as is what it has open for this run:
    span: Any = None
    secret = False  # its payload came encrypted, and what comes of it is encrypted too
    cache: tuple[str, int] | None = None  # the key that its result is kept under for others, and ms
    cached = False  # its result was known, so it did not run
    follow: tuple[NewJob, ...] = ()  # jobs that are accepted with the verdict
    interrupted: type[BaseException] | None = None
    thread = NOT_RUNNING  # in which the actor's function is now; see `interrupts`
    stop_coroutine: Callable[[], object] | None = None
    scope_before: Token[Scope | None] | None = None  # of the tenancy middleware

    def __init__(
        self,
        job: FetchedJob,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: dict[str, Any],
        sent_at: int,
    ) -> None:
        self.job = job
        self.message_id = job.id
        self.queue_name = job.queue
        self.actor_name = job.actor
        self.args = args
        self.kwargs = kwargs
        self.options = options
        self.message_timestamp = sent_at

    @property
    def exception(self) -> BaseException | None:
        """What the actor or a middleware raised, or None."""
        return self._exception

    def stuff_exception(self, exception: BaseException) -> None:
        """Note what was raised; of a group the exception in it that decides."""
        self._exception = telling(exception)

    @property
    def _message(self) -> "Message[Any]":  # type: ignore[override]
        # For what Dramatiq's own middleware may ask beyond the attributes above (copy, asdict, encode).
        return Message(
            queue_name=self.queue_name,
            actor_name=self.actor_name,
            args=self.args,
            kwargs=self.kwargs,
            options=self.options,
            message_id=self.message_id,
            message_timestamp=self.message_timestamp,
        )

    def interrupt(self, kind: type[BaseException]) -> None:
        """Raise `kind` in the actor that runs this job, and in nothing else."""
        interrupt(self, kind)

    def replace_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Give the actor these arguments instead, for example validated ones."""
        self.args = args
        self.kwargs = kwargs

    def __str__(self) -> str:
        # Dramatiq prints messages into its log; arguments are no business of a log.
        return f"{self.actor_name}[{self.message_id}]"

    def __repr__(self) -> str:
        return f"<JobProxy {self}>"
