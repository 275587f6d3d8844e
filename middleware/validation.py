"""Checks arguments against the actor's type hints: at send, and again at receive, after a deploy perhaps."""

from typing import Any

import dramatiq
from dramatiq.broker import MessageProxy

from middleware.contract import Contract
from middleware.delivery import delivery


class Validation(dramatiq.Middleware):
    """A wrong argument never gets into a queue; one that is there already is dead-lettered, not retried."""

    def __init__(self) -> None:
        self._contracts: dict[str, Contract] = {}

    def after_declare_actor(self, broker: dramatiq.Broker, actor: "dramatiq.Actor[..., Any]") -> None:
        try:
            self._contracts[actor.actor_name] = Contract(actor.actor_name, actor.fn)
        except Exception as error:
            raise TypeError(
                f"The signature of actor {actor.actor_name} cannot be checked: {error}"
            ) from error

    def contract(self, actor_name: str) -> Contract:
        """The contract of a declared actor. Raises KeyError."""
        return self._contracts[actor_name]

    def before_enqueue(
        self,
        broker: dramatiq.Broker,
        message: "dramatiq.Message[Any]",
        delay: int | None,
    ) -> None:
        self._contracts[message.actor_name].check(message.args, message.kwargs)

    def before_process_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        job = delivery(message)
        job.replace_arguments(*self._contracts[job.actor_name].check(job.args, job.kwargs))
