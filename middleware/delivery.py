"""What the broker's proxy of a running job offers to middleware, beside Dramatiq's own attributes."""

from collections.abc import Callable
from contextvars import Token
from typing import Any, Protocol, cast

from dramatiq.broker import MessageProxy

from jobs.hiding import Arguments, values_of
from jobs.model import FetchedJob, Verdict
from jobs.scope import Scope


class Reporter(Protocol):
    """Where the progress of a running job goes at once, and what of it cannot be shown."""

    def put(self, job: "Delivery", latest: bytes) -> None: ...

    def refuse(self, job: "Delivery", why: Exception) -> None: ...


class Delivery(Protocol):
    """One delivery of a job. `verdict` is what will be settled; None leaves it to what happened.

    `owner` is the process that holds it. `cancelled` says that somebody wants it cancelled, `secret` that
    its payload came encrypted. `scope_before` is
    kept by the tenancy middleware to restore what held around the run. `code` is the kind of its failure, and
    `deadline_at` when the job's own time is over, in monotonic seconds.
    """

    owner: str
    cancelled: bool
    secret: bool
    cancel_reason: str  # as whoever wants it cancelled said
    on_cancel: list[Callable[[], Any]] | None  # what the actor wants done then
    interrupted: type[BaseException] | None  # with what its run was cut short
    stop_coroutine: Callable[[], object] | None  # what ends its run on an event loop, while there is one
    queue_name: str
    actor_name: str
    message_id: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    hidden: Arguments | None  # its arguments, once a text was told without them
    options: dict[str, Any]
    failed: bool
    result: Any
    cache: tuple[str, int] | None  # the key its result is kept under for later jobs, and for how many ms
    cached: bool  # its result was known, so it did not run
    job: FetchedJob
    verdict: Verdict | None
    detail: bytes
    progress: bytes | None
    reporter: Reporter | None  # None where the place of progress is left out
    milestones: tuple[tuple[float, int], ...]  # percent and when, ms since 1970
    steps: Any  # the middleware of this name, or None; `step_run` is what it knows of this run
    step_run: Any
    under_way: Any  # what must end before this run does, once it has such; see middleware/under_way.py
    over: int  # once its actor has ended: the thread that decides what becomes of it
    log: Any  # the writer of the job's log, or None
    log_chunks: int  # that it has sent of this delivery
    trace_id: str
    code: str
    deadline_at: float | None
    cost: tuple[float, str] | None
    limiter: Any  # of the limits middleware, or None
    limit_turn: Any  # the lock of its threads that ask the limiter, once one has
    limit_forgotten: Exception | None  # a `limit()` that its coroutine did not await
    probe: bool
    pause: tuple[int, str] | None  # in place of a retry: ms for which its gate or tenant rests, and why
    brief: bool  # its permits are given back as soon as it has run
    span: Any  # of this run, or None
    started: float  # monotonic seconds; 0 when it did not start in a worker
    hook_failed: bool
    scope_before: Token[Scope | None] | None

    @property
    def exception(self) -> BaseException | None: ...

    def replace_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None: ...

    def stuff_exception(self, exception: BaseException) -> None: ...

    def fail(self) -> None: ...

    def interrupt(self, kind: type[BaseException]) -> None:
        """Raise `kind` in the actor that runs this job, and in nothing else."""


def arguments_of(delivery: Delivery) -> Arguments:
    """The values that no record, row or log line may quote; the names of parameters may stand there."""
    return values_of(delivery)


def delivery(message: MessageProxy) -> Delivery:
    """The message as what it is on our broker."""
    return cast(Delivery, message)
