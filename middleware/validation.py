"""Checks arguments against the actor's type hints: at send, and again at receive, after a deploy perhaps."""

from typing import Any

import dramatiq
from dramatiq.broker import MessageProxy

from jobs.errors import InvalidPayload
from jobs.failures import worded_without_values
from jobs.rules import RulesOf
from middleware.clear_names import quoted_in
from middleware.contract import Contract, contract_of
from middleware.delivery import Delivery, delivery
from middleware.releases import stamp_of
from settings import SettingsError

#: Options of a call that say something of their own.
_CLEAR_NAMES = ("job_id", "gate")


class Validation(dramatiq.Middleware):
    """A wrong argument never gets into a queue; one that is there already is dead-lettered, not retried."""

    def __init__(self, rules_of: RulesOf) -> None:
        self._rules_of = rules_of
        self._contracts: dict[str, Contract] = {}

    def after_declare_actor(self, broker: dramatiq.Broker, actor: "dramatiq.Actor[..., Any]") -> None:
        try:
            contract = contract_of(actor.actor_name, actor.fn)
        except Exception as error:
            raise TypeError(
                f"The signature of actor {actor.actor_name} cannot be checked: {error}"
            ) from error
        if contract.private and self._rules_of(actor.queue_name).encryption is False:
            raise SettingsError(
                f"queues.{actor.queue_name}.encryption is false, but {actor.actor_name} takes "
                f"{', '.join(sorted(contract.private))}, marked Secret or PII: remove the setting or mark."
            )
        self._contracts[actor.actor_name] = contract

    def before_enqueue(
        self,
        broker: dramatiq.Broker,
        message: "dramatiq.Message[Any]",
        delay: int | None,
    ) -> None:
        contract = self._contracts[message.actor_name]
        contract.check(message.args, message.kwargs)
        if contract.private:
            _check_names(message, contract)

    def before_process_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        job = delivery(message)
        contract = self._contracts[job.actor_name]
        try:
            args, kwargs = contract.check(job.args, job.kwargs)
        except InvalidPayload as error:
            refused = error
        else:
            job.replace_arguments(args, kwargs)
            return
        raise _explained(refused, job, contract)


def _check_names(message: "dramatiq.Message[Any]", contract: Contract) -> None:
    """What a call names its job and gate is stored in clear."""
    for option in _CLEAR_NAMES:
        name = message.options.get(option)
        if isinstance(name, str) and name:
            private = contract.private_arguments(message.args, message.kwargs)
            if (shown := quoted_in(name, private)) is not None:
                raise worded_without_values(
                    InvalidPayload(
                        f"{message.actor_name}: its {option} would show {shown}, which is marked Secret or "
                        f"PII: name it by an id."
                    )
                )


def _explained(refused: InvalidPayload, job: Delivery, contract: Contract) -> InvalidPayload:
    """The refusal, and that the sender knew another signature if it did."""
    stamp = stamp_of(job.options)
    if stamp is None or stamp.fingerprint == contract.fingerprint:
        return refused
    return worded_without_values(
        InvalidPayload(
            f"{str(refused).rstrip('.')}. It was sent by another version of the signature, of release "
            f"{stamp.release}: register a function in `upcasts` that makes the new arguments of the old ones."
        )
    )
