"""How an actor is declared: `@actor` over a function with type hints, each on a queue of its own."""

from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar, overload

import dramatiq

from broker.logs import quiet_actor

P = ParamSpec("P")
R = TypeVar("R")


@overload
def actor(function: Callable[P, Awaitable[R]], /) -> "dramatiq.Actor[P, R]": ...
@overload
def actor(function: Callable[P, R], /) -> "dramatiq.Actor[P, R]": ...
@overload
def actor(
    *, queue: str | None = None, **options: Any
) -> Callable[[Callable[P, R]], "dramatiq.Actor[P, R]"]: ...


def actor(function: Any = None, /, *, queue: str | None = None, **options: Any) -> Any:
    """Declare an actor. The function `email_sync` gets the queue `email-sync`, unless `queue` says otherwise.

    Options are those of `broker.options.NAMES` (priority, attempts, backoff, …); what is not given comes
    from the queue's policy in the settings. Raises TypeError when a type hint cannot be checked.
    """

    def declare(function: Callable[..., Any]) -> "dramatiq.Actor[..., Any]":
        name = queue or function.__name__.replace("_", "-")
        # Dramatiq takes `priority` for itself: it orders what a process already holds.
        priority = options.get("priority")
        declared = dramatiq.actor(queue_name=name, priority=priority or 0, **_without_priority(options))
        made: dramatiq.Actor[..., Any] = declared(function)
        if priority is not None:
            made.options["priority"] = priority
        quiet_actor(made)
        return made

    return declare(function) if function is not None else declare


def _without_priority(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "priority"}
