"""From a message to the job that the store is offered. What depends on the actor alone is worked out once."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from broker.codec import Codec
from broker.options import DRAMATIQ_NAMES, NAMES, JobOptions, check_delay, check_names
from broker.sent import SentMessage, as_sent
from broker.uniqueness import arguments_by_name, check_parameters, one_at_a_time
from jobs.errors import InvalidPayload
from jobs.ids import SCOPE, check_stored_id, scoped_id
from jobs.model import MARKER_MS, NewJob, UniqueMode
from jobs.rules import QueueRules

if TYPE_CHECKING:
    import dramatiq
    from dramatiq import Message


class Offer:
    """Jobs of one actor in one queue. `known` are the options that somebody reads.

    Raises InvalidPayload when the actor declares an option that makes no sense.
    """

    def __init__(
        self,
        actor: "dramatiq.Actor[..., Any]",
        queue: str,
        rules: QueueRules,
        codec: Codec,
        known: Collection[str],
    ) -> None:
        self.queue = queue
        self.rules = rules
        self._actor = actor
        self._codec = codec
        self._known = NAMES | DRAMATIQ_NAMES | frozenset(known)
        self._declared = JobOptions.declared(actor.options, rules)
        check_parameters(self._declared.unique, actor.fn)

    def named(self, message: "Message[Any]") -> tuple[SentMessage[Any], JobOptions]:
        """The message under the id that its job will have, and its options. Raises InvalidPayload."""
        options = message.options
        if "remove_on_complete" in self._actor.options:
            # Whoever waits for the result has only the message to know it by.
            options.setdefault("remove_on_complete", self._actor.options["remove_on_complete"])
        if options:
            check_names(options, self._known)
        return self.renamed(message)

    def renamed(self, message: "Message[Any]") -> tuple[SentMessage[Any], JobOptions]:
        """The same once a middleware has changed the options."""
        chosen = self._declared.with_call(message.options) if message.options else self._declared
        if chosen.job_id is not None:
            job_id = scoped_id(chosen.tenant_id, chosen.job_id)
        else:
            job_id = check_stored_id(message.message_id)
            if SCOPE in job_id and job_id != scoped_id(chosen.tenant_id, job_id.rpartition(SCOPE)[2]):
                raise InvalidPayload(f"the id {job_id!r} is one of another tenant.")
        if type(message) is SentMessage and message.message_id == job_id:
            return message, chosen
        return as_sent(message, job_id), chosen

    def job(self, message: SentMessage[Any], chosen: JobOptions, delay: int | None) -> NewJob:
        """What the store is given. Raises InvalidPayload and PayloadTooLarge."""
        gate, unique = chosen.gate, None
        if chosen.unique is not None:
            check_parameters(chosen.unique, self._actor.fn)
            unique = chosen.unique.of(
                message.actor_name,
                lambda: arguments_by_name(self._actor.fn, message.args, message.kwargs),
            )
            if unique.mode is UniqueMode.LATEST:
                gate = one_at_a_time(message.actor_name, unique)
        return NewJob(
            message.message_id,
            self.queue,
            message.actor_name,
            self._codec.encode(message),
            chosen.priority,
            chosen.attempts,
            chosen.tenant_id,
            check_delay(delay),
            chosen.run_at,
            self.rules.dead_letter,
            gate,
            unique,
            MARKER_MS if chosen.job_id is None else self.rules.id_memory_ms,
        )
