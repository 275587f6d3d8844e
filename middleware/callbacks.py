"""What follows the outcome of a job: `on_success` and `on_failure`, each an actor or a webhook endpoint.

    @actor(on_success="invoice_sent", on_failure="webhook:orders")

Once for the outcome, not for an attempt: what is tried again, held, handed back or cut short has none yet.
The callback is a job of its own that is accepted in the step that stores the outcome.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import dramatiq
import orjson
from dramatiq import middleware
from dramatiq.broker import MessageProxy
from dramatiq.middleware import Shutdown

from jobs.blobs import OPTION as BLOB
from jobs.errors import InvalidPayload, PayloadTooLarge, UnknownActor
from jobs.failures import describe, worded_without_values
from jobs.model import Outcome
from jobs.rules import RulesOf
from middleware.contract import contract_of
from middleware.delivery import Delivery, arguments_of, delivery
from middleware.ends import outcome_of

#: Before the name of an endpoint in the settings.
WEBHOOK = "webhook:"
#: The actor that delivers to it, signed.
DELIVERER = "webhook_deliver"
NAMES = ("on_success", "on_failure")
#: Options of an encrypted job that are not told: messages with their arguments, and where its own are.
SEALED_OPTIONS = frozenset({"pipe_target", "group_completion_callbacks", "group_completion_uuid", BLOB})
TOO_LONG = "it was too long to come along; ask for the result of the job"


class Callbacks(middleware.Callbacks):
    """An actor gets Dramatiq's arguments: the message as a dictionary, and the result or
    `{"type", "message", "fingerprint", "outcome"}`. `endpoints` are the webhook endpoints of the settings."""

    def __init__(self, rules_of: RulesOf, endpoints: Collection[str] = ()) -> None:
        self._rules_of = rules_of
        self._endpoints = endpoints
        self._declaring: set[str] = set()  # actors that name one

    def after_declare_actor(self, broker: dramatiq.Broker, actor: "dramatiq.Actor[..., Any]") -> None:
        self._check(actor.options)
        self._declaring.discard(actor.actor_name)
        if not actor.options.keys().isdisjoint(NAMES):
            self._declaring.add(actor.actor_name)

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Refuse to start where a callback could not be sent."""
        for _, words in missing_callbacks(broker):
            raise UnknownActor(words)

    def before_enqueue(
        self, broker: dramatiq.Broker, message: "dramatiq.Message[Any]", delay: int | None
    ) -> None:
        if "on_success" in message.options or "on_failure" in message.options:
            self._check(message.options)

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        self._follow(broker, delivery(message), result)

    def after_skip_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        self._follow(broker, delivery(message), delivery(message).result)

    def sends_after(self, message: MessageProxy) -> bool:
        """Whether a job has a callback; one that cannot be sent is not settled as done."""
        return message.actor_name in self._declaring or not message.options.keys().isdisjoint(NAMES)

    def _follow(self, broker: dramatiq.Broker, run: Delivery, result: Any) -> None:
        own = run.options
        if not (run.actor_name in self._declaring or "on_success" in own or "on_failure" in own):
            return
        declared = broker.get_actor(run.actor_name).options
        outcome = outcome_of(run)
        if isinstance(run.exception, Shutdown) or run.interrupted is Shutdown:
            return  # it starts again elsewhere
        if outcome is Outcome.COMPLETED:
            if target := callback_of("on_success", own, declared):
                self._succeeded(broker, run, target, result)
        elif outcome is Outcome.FAILED and (target := callback_of("on_failure", own, declared)):
            call(
                broker,
                target,
                message_form(broker, run, self._rules_of, secret=run.secret),
                "failed",
                _failure_of(run),
            )

    def _succeeded(self, broker: dramatiq.Broker, run: Delivery, target: str, result: Any) -> None:
        form = message_form(broker, run, self._rules_of, secret=run.secret)
        try:
            call(broker, target, form, "completed", result)
        except PayloadTooLarge:
            call(broker, target, {**form, "args": [], "kwargs": {}}, "completed", None, note=TOO_LONG)

    def _check(self, options: Mapping[str, Any]) -> None:
        for name in ("on_success", "on_failure"):
            target = options.get(name)
            if not isinstance(target, str) or not target.startswith(WEBHOOK):
                continue
            endpoint = target.removeprefix(WEBHOOK)
            if endpoint not in self._endpoints:
                known = ", ".join(sorted(self._endpoints)) or "none"
                raise worded_without_values(
                    InvalidPayload(
                        f"{name} names the webhook endpoint {endpoint!r}, but the settings have {known}; "
                        f"add [webhooks.{endpoint}]."
                    )
                )


def missing_callbacks(broker: dramatiq.Broker) -> "Iterator[tuple[dramatiq.Actor[..., Any], str]]":
    """Actors that declare a callback which no actor here could take, each with a sentence."""
    for actor in broker.actors.values():
        for name in NAMES:
            target = callback_of(name, {}, actor.options) or ""
            needed = DELIVERER if target.startswith(WEBHOOK) else target
            if needed and needed not in broker.actors:
                yield (
                    actor,
                    f"{name} of {actor.actor_name} is {target!r}, but there is no actor named {needed!r}.",
                )


def callback_of(name: str, own: Mapping[str, Any], declared: Mapping[str, Any]) -> str | None:
    """What the call says, else the actor."""
    target = own.get(name)
    target = declared.get(name) if target is None else target
    return getattr(target, "actor_name", target) or None


def message_form(broker: dramatiq.Broker, run: Any, rules_of: RulesOf, *, secret: bool) -> dict[str, Any]:
    """The message as a dictionary. What is sealed with its job stays there: its arguments, and the messages
    in its options. `secret`: its payload came encrypted."""
    actor = broker.get_actor(run.actor_name)
    form: dict[str, Any] = run.asdict()
    encrypted = secret or rules_of(run.queue_name).encryption
    if encrypted or (encrypted is None and contract_of(actor.actor_name, actor.fn).private):
        options = {name: value for name, value in form["options"].items() if name not in SEALED_OPTIONS}
        form |= {"args": [], "kwargs": {}, "options": options}
    return form


def call(
    broker: dramatiq.Broker,
    target: str,
    form: Mapping[str, Any],
    outcome: str,
    what: Any,
    *,
    note: str = "",
    **options: Any,
) -> None:
    """Send the callback. `what` is the result, or what is known of the failure. Raises UnknownActor, and what
    enqueue raises."""
    name = DELIVERER if target.startswith(WEBHOOK) else target
    if name not in broker.actors:
        raise UnknownActor(f"The callback {target!r} needs the actor {name!r}, which is not declared here.")
    actor = broker.actors[name]
    if name == target:
        actor.send_with_options(args=(form, what), **options)
        return
    data: dict[str, Any] = {
        "jobId": form["message_id"],
        "actor": form["actor_name"],
        "queue": form["queue_name"],
        "outcome": outcome,
        "result" if outcome == "completed" else "error": what,
    }
    if note:
        data["note"] = note
    actor.send_with_options(args=(target.removeprefix(WEBHOOK), f"job.{outcome}", data), **options)


def failure_form(error: Mapping[str, Any], outcome: str, fingerprint: str = "") -> dict[str, Any]:
    """What a callback is told of a failure: never a stack, nor a value of the arguments."""
    return {
        "type": error.get("type", ""),
        "message": error.get("message", ""),
        "fingerprint": fingerprint,
        "outcome": outcome,
    }


def _failure_of(run: Delivery) -> dict[str, Any]:
    if run.exception is not None:
        failure = describe(run.exception, arguments_of(run))
        error: dict[str, Any] = {"type": failure.type, "message": failure.message}
        return failure_form(error, "failed", failure.fingerprint)
    record = run.verdict.record if run.verdict else None
    return failure_form((orjson.loads(record) if record else {}).get("error", {}), "failed")
