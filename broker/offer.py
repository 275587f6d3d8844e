"""From a message to the job that the store is offered. What depends on the actor alone is worked out once."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from broker.blobs import LargeArguments
from broker.brought import LAST, NEXT, brought, refusal
from broker.codec import Codec
from broker.following import following
from broker.options import DRAMATIQ_NAMES, NAMES, JobOptions, check_delay, check_names
from broker.sent import SentMessage, as_sent
from broker.uniqueness import Args, arguments_by_name, as_given, check_parameters, one_at_a_time
from jobs.errors import InvalidPayload, PayloadTooLarge
from jobs.ids import SCOPE, check_stored_id, scoped_id
from jobs.letters import Ended
from jobs.model import MARKER_MS, NewJob, UniqueMode
from jobs.rules import QueueRules, RulesOf, same_rules_for_all

if TYPE_CHECKING:
    import dramatiq
    from dramatiq import Message


#: What an actor takes of arguments: with the types of its hints. Raises InvalidPayload.
TakenBy = Callable[["dramatiq.Actor[..., Any]", Args, Mapping[str, Any]], tuple[Args, Mapping[str, Any]]]


class Offer:
    """Jobs of one actor in one queue. `known` are the options that somebody reads; `is_private` says whether
    an actor's arguments are encrypted where its queue's rules leave that open. `rules_of` and `actors` tell
    of the messages that come along, to be sent later. `unique` counts what is `taken_by` the actor.

    Raises InvalidPayload when the actor declares an option that makes no sense.
    """

    def __init__(
        self,
        actor: "dramatiq.Actor[..., Any]",
        queue: str,
        rules: QueueRules,
        codec: Codec,
        known: Collection[str],
        is_private: Callable[["dramatiq.Actor[..., Any]"], bool] = lambda actor: False,
        large: LargeArguments | None = None,
        rules_of: RulesOf = same_rules_for_all,
        actors: "Mapping[str, dramatiq.Actor[..., Any]]" = MappingProxyType({}),
        taken_by: TakenBy = lambda actor, args, kwargs: as_given(args, kwargs),
    ) -> None:
        self.queue = queue
        self.rules = rules
        self._actor = actor
        self._codec = codec
        self._large = large if rules.payload_blob else None
        self._is_private = is_private
        self._rules_of = rules_of
        self._actors = actors
        self._as_taken = partial(taken_by, actor)
        self._secret = rules.encryption
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
        gate, unique, codec = chosen.gate, None, self._codec
        secret = self._secret
        if secret is None:
            secret = self._secret = self._is_private(self._actor)
        if not secret:
            options, source = message.options, following.proxy
            if source is not None and source.secret and self.rules.encryption is None:
                secret = True  # it brings along what the other one's payload hid: its result, say
            elif (NEXT in options or LAST in options) and self._brings_secrets(message):
                secret = True
        if chosen.unique is not None:
            check_parameters(chosen.unique, self._actor.fn)
            unique = chosen.unique.of(
                message.actor_name,
                lambda: arguments_by_name(self._actor.fn, message.args, message.kwargs, self._as_taken),
                chosen.tenant_id,
                codec.seal,
            )
            if unique.mode is UniqueMode.LATEST:
                gate = one_at_a_time(message.actor_name, unique)
        return NewJob(
            message.message_id,
            self.queue,
            message.actor_name,
            self._encoded(message, chosen.tenant_id, secret),
            chosen.priority,
            chosen.attempts,
            chosen.tenant_id,
            check_delay(delay),
            chosen.run_at,
            self.rules.dead_letter if not self.rules.letters else self._dead_letter(chosen.tenant_id),
            gate,
            unique,
            MARKER_MS if chosen.job_id is None else self.rules.id_memory_ms,
        )

    def _encoded(self, message: SentMessage[Any], tenant: str, secret: bool) -> bytes:
        try:
            return self._codec.encode(
                message, tenant, secret=secret, never_secret=self.rules.encryption is False
            )
        except PayloadTooLarge as error:
            if self._large is None:
                raise refusal(message, error, self._codec.max_bytes, own=True) from None
        secret = secret or self._codec.holds_secret(message)  # of what is put away nothing is looked at
        return self._large.put_away(message, tenant, secret=secret)

    def _brings_secrets(self, message: SentMessage[Any]) -> bool:
        """Whether a message that comes along is encrypted once it is sent. Raises InvalidPayload where its
        arguments would lie in a queue until then whose jobs are never encrypted."""
        found = False
        own = self.queue if self.rules.encryption is False else ""
        waiting: list[tuple[Mapping[str, Any], str]] = [(message.options, own)]
        while waiting:
            options, clear = waiting.pop()
            for form, within in brought(options):
                name, queue = str(form.get("actor_name")), str(form.get("queue_name"))
                ruled = encrypted = self._rules_of(queue).encryption
                if encrypted is None:
                    actor = self._actors.get(name)  # of one that is not declared here nobody can tell
                    encrypted = actor is None or self._is_private(actor)
                if encrypted and clear:
                    raise InvalidPayload(
                        f"The arguments of {name} are encrypted, but would wait in clear in queue {clear!r} "
                        f"until it is its turn: take encryption = false from [queues.{clear}], or let the "
                        f"actor there send {name} itself."
                    )
                found |= encrypted
                waiting.append((within, clear or (queue if ruled is False else "")))
        return found

    def _dead_letter(self, tenant: str) -> str:
        """Where it goes when the store itself gives it up, because its workers died."""
        return self.rules.dead_letter_of(Ended.lost(self.queue, self._actor.actor_name, tenant))
