"""A job on its way through a worker: Dramatiq's MessageProxy with the lease and the verdict."""

from typing import Any

from dramatiq import Message
from dramatiq.broker import MessageProxy

from jobs.model import FetchedJob, Verdict


class JobProxy(MessageProxy):
    """What middleware gets. `verdict` is what will be settled; a middleware may set or replace it.

    `detail` and `progress` ride along with the settlement.
    """

    def __init__(self, message: "Message[Any]", job: FetchedJob) -> None:
        super().__init__(message)
        self.job = job
        self.verdict: Verdict | None = None
        self.result: Any = None
        self.detail = b""
        self.progress: bytes | None = None
        self.hook_failed = False
        self.arrived = 0.0
        # Plain attributes are found without MessageProxy's __getattr__, on every job several times.
        self.message_id = message.message_id
        self.queue_name = message.queue_name
        self.actor_name = message.actor_name
        self.args = message.args
        self.kwargs = message.kwargs
        self.options = message.options

    @property
    def exception(self) -> BaseException | None:
        """What the actor or a middleware raised, or None."""
        return self._exception

    def replace_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Give the actor these arguments instead, for example validated ones."""
        self.args = args
        self.kwargs = kwargs

    def __str__(self) -> str:
        # Dramatiq prints messages into its log; arguments are no business of a log.
        return f"{self.actor_name}[{self.message_id}]"

    def __repr__(self) -> str:
        return f"<JobProxy {self}>"
