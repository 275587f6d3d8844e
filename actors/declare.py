"""How an actor is declared: `@actor` over a function with type hints, each on a queue of its own."""

from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar, overload

import dramatiq

from broker.actor import CallboardActor
from broker.options import check_names

#: What Dramatiq itself takes beside the options of the broker's parts, and `queue`.
OWN_NAMES = frozenset({"actor_name", "broker", "priority", "queue"})

P = ParamSpec("P")
R = TypeVar("R")


@overload
def actor(function: Callable[P, Awaitable[R]], /) -> "CallboardActor[P, R]": ...
@overload
def actor(function: Callable[P, R], /) -> "CallboardActor[P, R]": ...
@overload
def actor(
    *, queue: str | None = None, **options: Any
) -> Callable[[Callable[P, R]], "CallboardActor[P, R]"]: ...


def actor(function: Any = None, /, *, queue: str | None = None, **options: Any) -> Any:
    """Declare an actor. The function `email_sync` gets the queue `email-sync`, unless `queue` says otherwise.

    Options are those of `broker.options.NAMES` (priority, attempts, unique, …); what is not given comes
    from the queue's policy in the settings. Raises TypeError when a type hint cannot be checked, and
    InvalidPayload for an option that makes no sense or that nothing reads.
    """
    broker = options.get("broker") or dramatiq.get_broker()
    check_names(options, broker.actor_options | OWN_NAMES)

    def declare(function: Callable[..., Any]) -> Any:
        name = queue or function.__name__.replace("_", "-")
        chosen = {"priority": None, **options}
        return dramatiq.actor(actor_class=CallboardActor, queue_name=name, **chosen)(function)

    return declare(function) if function is not None else declare
