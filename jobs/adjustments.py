"""Which rules can be changed while running, and to what. Both stores ask here."""

from collections.abc import Mapping

from jobs.errors import InvalidAdjustment
from jobs.model import FIRST_PRIORITY, LAST_PRIORITY, Scope
from jobs.rules import Rate

#: Numbers that each worker process keeps for itself.
PROCESS_RULES = frozenset({"concurrency", "worker_rate"})
QUEUE_RULES = PROCESS_RULES | {
    "paused",
    "priority",
    "cap",
    "rate",
    "lane_cap",
    "lane_rate",
    "gate_cap",
    "gate_rate",
}
LANE_RULES = frozenset({"paused", "weight", "cap", "rate"})


def check_adjustments(scope: Scope, changes: Mapping[str, object]) -> None:
    """Raise InvalidAdjustment unless each rule can be changed while running, and to this value."""
    for name, value in changes.items():
        _check(scope, name, value)


def check_priority(priority: int) -> None:
    """Raise InvalidAdjustment unless it is one that a job can have."""
    if not _whole(priority) or not FIRST_PRIORITY <= priority <= LAST_PRIORITY:
        raise InvalidAdjustment(
            f"A job's priority must be a whole number from {FIRST_PRIORITY} to {LAST_PRIORITY}."
        )


def _check(scope: Scope, name: str, value: object) -> None:
    what = "a queue" if scope.lane is None else "a gate" if scope.gate else "a lane"
    known = QUEUE_RULES if scope.lane is None else frozenset() if scope.gate else LANE_RULES
    if name not in known:
        choices = ", ".join(sorted(known)) or "nothing"
        raise InvalidAdjustment(f"{name!r} of {what} cannot be changed while running; {choices} can.")
    if value is None:
        return
    kind = name.removeprefix("lane_").removeprefix("gate_").removeprefix("worker_")
    if kind == "paused":
        fits, wanted = isinstance(value, bool), "true or false"
    elif kind == "priority":
        fits = _whole(value) and FIRST_PRIORITY <= value <= LAST_PRIORITY  # type: ignore[operator]
        wanted = f"a whole number from {FIRST_PRIORITY} to {LAST_PRIORITY}"
    elif kind == "concurrency":
        fits, wanted = _whole(value) and value >= 1, "a whole number from 1 on"  # type: ignore[operator]
    elif kind == "weight":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        fits = number and 0.001 <= value <= 1000  # type: ignore[operator]
        wanted = "a number from 0.001 to 1000"
    elif kind == "cap":
        fits, wanted = _whole(value) and value >= 0, "a whole number, 0 for no limit"  # type: ignore[operator]
    else:
        fits = (_whole(value) and value == 0) or (
            isinstance(value, Rate) and value.count > 0 and value.per_ms > 0
        )
        wanted = "a rate, or 0 for no limit"
    if not fits:
        raise InvalidAdjustment(f"{name!r} of {what} must be {wanted}.")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
