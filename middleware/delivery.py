"""What the broker's proxy of a running job offers to middleware, beside Dramatiq's own attributes."""

from contextvars import Token
from typing import Any, Protocol, cast

from dramatiq.broker import MessageProxy

from jobs.model import FetchedJob, Verdict
from jobs.scope import Scope


class Reporter(Protocol):
    """Where the progress of a running job goes at once."""

    def put(self, job: "Delivery", latest: bytes) -> None: ...


class Delivery(Protocol):
    """One delivery of a job. `verdict` is what will be settled; None leaves it to what happened.

    `owner` is the process that holds it. `cancelled` says that somebody wants it cancelled. `scope_before` is
    kept by the tenancy middleware to restore what held around the run.
    """

    owner: str
    cancelled: bool
    queue_name: str
    actor_name: str
    message_id: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    options: dict[str, Any]
    failed: bool
    job: FetchedJob
    verdict: Verdict | None
    detail: bytes
    progress: bytes | None
    reporter: Reporter
    trace_id: str
    cost: tuple[float, str] | None
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


def arguments_of(delivery: Delivery) -> tuple[object, ...]:
    """The values that no record, row or log line may quote; the names of parameters may stand there."""
    return (*delivery.args, *delivery.kwargs.values())


def delivery(message: MessageProxy) -> Delivery:
    """The message as what it is on our broker."""
    return cast(Delivery, message)
