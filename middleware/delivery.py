"""What the broker's proxy of a running job offers to middleware, beside Dramatiq's own attributes."""

from typing import Any, Protocol, cast

from dramatiq.broker import MessageProxy

from jobs.model import FetchedJob, Verdict


class Reporter(Protocol):
    """Where the progress of a running job goes at once."""

    def put(self, job: "Delivery", latest: bytes) -> None: ...


class Delivery(Protocol):
    """One delivery of a job. `verdict` is what will be settled; None leaves it to what happened.

    `owner` is the process that holds it. `cancelled` says that somebody wants it cancelled.
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
