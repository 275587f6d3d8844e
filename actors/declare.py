"""How an actor is declared: `@actor` over a function with type hints, each on a queue of its own.

@actor(periodic=cron("0 9 * * 1-5"), schedule={"timezone": "Europe/Berlin", "args": {"region": "eu"}})
def daily_report(region: str) -> None: ...
"""

from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar, overload

import dramatiq

from broker.actor import CallboardActor
from broker.options import check_names
from broker.periodic import SCHEDULE, a_tick, cron, refusal
from jobs.errors import InvalidPayload
from jobs.schedules import Schedule, arguments
from middleware.contract import contract_of

__all__ = ["actor", "cron"]

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
    from the queue's policy in the settings. `periodic` is a cron, this one's or periodiq's, and `schedule` a
    table of the words of `[schedules.…]` in the settings (timezone, args, catch_up, overlap, …; also `every`
    or `at` instead of a cron): then its jobs are sent by themselves, by a schedule of the actor's name.

    Raises TypeError when a type hint cannot be checked, InvalidPayload for an option that makes no sense or
    that nothing reads, and InvalidSchedule for a schedule that could not run.
    """
    broker = options.get("broker") or dramatiq.get_broker()
    check_names(options, broker.actor_options | OWN_NAMES)

    def declare(function: Callable[..., Any]) -> Any:
        name = queue or function.__name__.replace("_", "-")
        chosen = {"priority": None, **options}
        made = dramatiq.actor(actor_class=CallboardActor, queue_name=name, **chosen)(function)
        if SCHEDULE in made.options:
            _check_arguments(made.options[SCHEDULE], function)
        return made

    return declare(function) if function is not None else declare


def _check_arguments(schedule: Schedule, function: Callable[..., Any]) -> None:
    """Try them with one of its ticks. Raises InvalidSchedule."""
    tick = a_tick(schedule)
    try:
        contract_of(schedule.actor, function).check((), arguments(schedule, tick) if tick else {})
    except InvalidPayload as error:
        raise refusal(schedule.actor, error) from None
    except TypeError:
        pass  # the validation is left out, or would have refused it
