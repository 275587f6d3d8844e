"""Options of one job, from the call, its actor, or its queue's rules, in this order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.errors import InvalidPayload
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
        "remove_on_complete",  # True, or how many completed jobs of the queue to keep
    }
)
LONGEST_TENANT = 100
LONGEST_USER = 200
LONGEST_MS = 10**12


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
        if not isinstance(tenant, str) or len(tenant) > LONGEST_TENANT or any(c < " " for c in tenant):
            raise InvalidPayload(
                f"tenant_id must be a printable text of at most {LONGEST_TENANT} characters."
            )
        _check_rest(pick)
        run_at = pick("run_at", None)
        return cls(
            priority=_number("priority", pick("priority", rules.priority), FIRST_PRIORITY, LAST_PRIORITY),
            attempts=_number("attempts", pick("attempts", rules.attempts), 1, 1_000),
            tenant_id=tenant,
            run_at=None if run_at is None else _number("run_at", run_at, 0, 9_999_999_999_999),
        )


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
