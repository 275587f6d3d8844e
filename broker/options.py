"""Options of one job, from the call, its actor, or its queue's rules, in this order."""

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.errors import InvalidPayload
from jobs.ids import check_tenant_id
from jobs.model import FIRST_PRIORITY, LAST_PRIORITY
from jobs.rules import QueueRules

#: Options that an actor may declare and a call may give. Times are milliseconds.
NAMES = frozenset(
    {
        "job_id",  # an id of the caller's; the same id twice is one job
        "priority",  # 1 first … 10 last
        "attempts",  # how often it may run
        "backoff",  # {"type": "exponential" | "fixed" | "linear", "delay": ms}
        "time_limit",  # of one attempt
        "tenant_id",
        "user_id",
        "run_at",  # ms since 1970
        "remove_on_complete",  # True or 0: gone when completed; a number above: kept under the queue's rule
    }
)
#: Options of Dramatiq's own parts that are used here too. What its other middleware understands, when it
#: is added in the settings, is in the broker's `actor_options`.
DRAMATIQ_NAMES = frozenset(
    {
        "delay",  # of a message in a pipeline
        "pipe_target",
        "pipe_ignore",
        "on_success",
        "on_failure",
        "group_completion_uuid",
        "group_completion_callbacks",
        "store_results",
        "result_ttl",
        "throws",  # exceptions that the worker logs without a traceback
        "notify_shutdown",
    }
)
#: What Dramatiq or other queues call it, and what to give here.
_INSTEAD = {
    "eta": "delay or run_at",
    "max_retries": "attempts",
    "retries": "attempts",
    "min_backoff": "backoff",
    "max_backoff": "backoff",
}
LONGEST_USER = 200
LONGEST_MS = 10**12
#: 221 years. A due time has at most 13 digits, and with this one has until 2065.
LONGEST_DELAY_MS = 7_000_000_000_000


@dataclass(frozen=True, slots=True)
class JobOptions:
    priority: int
    attempts: int
    tenant_id: str
    run_at: int | None

    @classmethod
    def of(cls, call: Mapping[str, Any], actor: Mapping[str, Any], rules: QueueRules) -> "JobOptions":
        """Raises InvalidPayload with the option's name."""

        def pick(name: str, default: Any) -> Any:
            value = call.get(name)
            if value is None:
                value = actor.get(name)
            return default if value is None else value

        tenant = pick("tenant_id", "")
        if tenant != "":
            check_tenant_id(tenant)
        _check_rest(pick)
        run_at = pick("run_at", None)
        return cls(
            priority=_number("priority", pick("priority", rules.priority), FIRST_PRIORITY, LAST_PRIORITY),
            attempts=_number("attempts", pick("attempts", rules.attempts), 1, 1_000),
            tenant_id=tenant,
            run_at=None if run_at is None else _number("run_at", run_at, 0, 9_999_999_999_999),
        )


def check_names(options: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse an option that nothing reads. Raises InvalidPayload with the nearest name."""
    for name in options:
        if name in known:
            continue
        if name in _INSTEAD:
            raise InvalidPayload(f"{name} is not used here; give {_INSTEAD[name]}.")
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(NAMES))}."
        raise InvalidPayload(f"there is no option {name!r}; {hint}")


def check_delay(delay: int | None) -> int:
    """The delay in milliseconds, 0 for None. Raises InvalidPayload."""
    return 0 if delay is None else _number("delay", delay, 0, LONGEST_DELAY_MS)


def removes_itself(remove_on_complete: object) -> bool:
    """Whether a job with this `remove_on_complete` is gone once it is completed."""
    return remove_on_complete is True or (remove_on_complete is not False and remove_on_complete == 0)


def _check_rest(pick: Callable[[str, Any], Any]) -> None:
    """Options that are read only when the job runs: what is wrong must not be found there."""
    if (limit := pick("time_limit", None)) is not None:
        _number("time_limit", limit, 1, LONGEST_MS)
    if not isinstance(keep := pick("remove_on_complete", False), bool):
        _number("remove_on_complete", keep, 0, 1_000_000_000)
    user = pick("user_id", "")
    if not isinstance(user, str) or len(user) > LONGEST_USER:
        raise InvalidPayload(f"user_id must be a text of at most {LONGEST_USER} characters.")


def _number(name: str, value: Any, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidPayload(f"{name} must be a whole number from {least} to {most}.")
    return value
