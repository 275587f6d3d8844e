"""The actor that producers call: Dramatiq's, with a shorter way from `send()` to the broker."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import dramatiq
from dramatiq import Message

from broker.periodic import SCHEDULED_AT, call_at
from broker.sent import SentMessage, make_message
from jobs.errors import InvalidPayload
from jobs.ids import check_job_id, check_tenant_id, scoped_id
from jobs.scope import current_scope

if TYPE_CHECKING:
    from broker.broker import CallboardBroker

P = ParamSpec("P")
R = TypeVar("R")


class CallboardActor(dramatiq.Actor[P, R]):
    """Everything that Dramatiq's documentation says of actors holds; `send` returns a SentMessage."""

    broker: "CallboardBroker"

    def __init__(
        self, fn: Callable[P, R], *, priority: int | None, options: dict[str, Any], **more: Any
    ) -> None:
        # Dramatiq takes `priority` for itself: it orders what a process already holds.
        if priority is not None:
            options = {**options, "priority": priority}
        super().__init__(fn, priority=priority or 0, options=options, **more)

    def message(self, *args: P.args, **kwargs: P.kwargs) -> "Message[R]":
        """A message that is not sent yet: for `send_many`, pipelines and groups."""
        return make_message(Message, self.queue_name, self.actor_name, args, kwargs, {})

    def message_with_options(
        self, *, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None, **options: Any
    ) -> "Message[R]":
        """The same with options of its own. Raises InvalidPayload for an id that cannot be one."""
        job_id = self._prepare(options)
        return make_message(
            Message, self.queue_name, self.actor_name, tuple(args), kwargs or {}, options, job_id
        )

    def send(self, *args: P.args, **kwargs: P.kwargs) -> "SentMessage[R]":
        """Add a job. Raises the errors of `jobs.errors`."""
        return self.broker.enqueue(
            make_message(SentMessage, self.queue_name, self.actor_name, args, kwargs, {})
        )

    def send_with_options(
        self,
        *,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        delay: timedelta | int | None = None,
        **options: Any,
    ) -> "SentMessage[R]":
        """Add a job with options of its own (`broker.options.NAMES`); `delay` in milliseconds or as a
        timedelta. With `scheduled_at` alone, as periodiq sends it, the job of that tick of the actor's
        schedule. Raises the errors of `jobs.errors`."""
        if SCHEDULED_AT in options:
            if args or kwargs or delay is not None:
                raise InvalidPayload("scheduled_at stands alone: the actor's schedule says the rest.")
            kwargs, options = call_at(self, options)
        if isinstance(delay, timedelta):
            delay = int(delay.total_seconds() * 1000)
        job_id = self._prepare(options)
        message = make_message(
            SentMessage, self.queue_name, self.actor_name, tuple(args), kwargs or {}, options, job_id
        )
        return self.broker.enqueue(message, delay=delay)

    def _prepare(self, options: dict[str, Any]) -> str | None:
        """Write callbacks that are actors by their names; the id that the job will have, if one is given.

        Dramatiq's groups and pipelines ask for results by the messages that they were made of.
        """
        for option in ("on_success", "on_failure"):
            callback = options.get(option)
            if isinstance(callback, dramatiq.Actor):
                options[option] = callback.actor_name
            elif callback is not None and not isinstance(callback, str):
                raise TypeError(f"{option} must be an actor or its name")
        if (job_id := options.get("job_id")) is None:
            return None
        tenant = options.get("tenant_id")
        if tenant is None:
            tenant = self.options.get("tenant_id")
        if tenant is None:
            scope = current_scope.get()
            tenant = scope.tenant_id if scope else ""
        return scoped_id(tenant and check_tenant_id(tenant), check_job_id(job_id))
