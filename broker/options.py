"""Options of one job, from the call, its actor, or its queue's rules, in this order."""

import difflib
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from broker.uniqueness import Uniqueness, check_unique
from jobs.errors import InvalidPayload
from jobs.ids import check_gate, check_job_id, check_tenant_id
from jobs.model import FIRST_PRIORITY, LAST_PRIORITY, UniqueMode
from jobs.rules import QueueRules

#: Options that an actor may declare and a call may give. Times are milliseconds.
NAMES = frozenset(
    {
        "job_id",  # an id of the caller's; the same id twice is one job
        "priority",  # 1 first … 10 last
        "attempts",  # how often it may run
        "backoff",  # {"type": "exponential" | "fixed" | "linear", "delay": ms}
        "time_limit",  # of one attempt
        "retry_for",  # no retry starts later than so long after the job may start first; 0: no such limit
        "deadline",  # of the whole job, from its acceptance, or a moment in ms since 1970; 0: none
        "expires",  # it must have started by then; as `deadline`
        "tenant_id",
        "user_id",
        "run_at",  # ms since 1970
        "gate",  # a resource of the tenant, whose jobs can rest and be capped apart from its others
        "unique",  # see broker.uniqueness
        "trace",  # W3C traceparent of whoever sent it; the telemetry middleware writes it
        "result_max_bytes",  # a longer result is not kept
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
LATEST_DUE_MS = 9_999_999_999_999


class JobOptions(NamedTuple):
    """What the store is told of a job. `unique` is not yet a key: that takes the arguments."""

    priority: int
    attempts: int
    tenant_id: str = ""
    run_at: int | None = None
    gate: str = ""
    unique: Uniqueness | None = None
    job_id: str | None = None

    @classmethod
    def declared(cls, actor: Mapping[str, Any], rules: QueueRules) -> "JobOptions":
        """An actor's, over its queue's: those of a call that gives none. Raises InvalidPayload."""
        return cls(rules.priority, rules.attempts).with_call(actor)

    def with_call(self, call: Mapping[str, Any]) -> "JobOptions":
        """What a call gives, over these; None counts as not given. Raises InvalidPayload with the name."""
        given: dict[str, Any] = {}
        for name, value in call.items():
            check = _CHECKS.get(name)
            if check is not None and value is not None:
                given[name] = check(value)
        for name in _READ_LATER:
            given.pop(name, None)
        options = self._replace(**given) if given else self
        if options.gate and options.unique is not None and options.unique.mode is UniqueMode.LATEST:
            raise InvalidPayload("gate cannot be given with the unique mode latest, which has its own.")
        return options


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


def same_job(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether what middleware wrote into a job's options leaves its id, its place and its rules alone."""
    for name, value in after.items():
        if name in _CHECKS and before.get(name) != value:
            return False
    return all(name in after or name not in _CHECKS for name in before) if before else True


def check_delay(delay: int | None) -> int:
    """The delay in milliseconds, 0 for None. Raises InvalidPayload."""
    return 0 if delay is None else _number("delay", delay, 0, LONGEST_DELAY_MS)


def removes_itself(remove_on_complete: object) -> bool:
    """Whether a job with this `remove_on_complete` is gone once it is completed."""
    return remove_on_complete is True or (remove_on_complete is not False and remove_on_complete == 0)


def _number(name: str, value: Any, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidPayload(f"{name} must be a whole number from {least} to {most}.")
    return value


def _number_from(name: str, least: int, most: int) -> Callable[[Any], int]:
    return lambda value: _number(name, value, least, most)


def _tenant(value: Any) -> str:
    # An empty one says "none" over what the actor declares.
    return "" if value == "" else check_tenant_id(value)


def _gate(value: Any) -> str:
    return "" if value == "" else check_gate(value)


def _user(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_USER:
        raise InvalidPayload(f"user_id must be a text of at most {LONGEST_USER} characters.")
    return value


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidPayload("store_results must be true or false.")
    return value


def _keep(value: Any) -> int:
    return value if isinstance(value, bool) else _number("remove_on_complete", value, 0, 1_000_000_000)


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "priority": _number_from("priority", FIRST_PRIORITY, LAST_PRIORITY),
    "attempts": _number_from("attempts", 1, 1_000),
    "tenant_id": _tenant,
    "run_at": _number_from("run_at", 0, LATEST_DUE_MS),
    "gate": _gate,
    "unique": check_unique,
    "job_id": check_job_id,
    "time_limit": _number_from("time_limit", 1, LONGEST_MS),
    "retry_for": _number_from("retry_for", 0, LONGEST_MS),
    "deadline": _number_from("deadline", 0, LATEST_DUE_MS),
    "expires": _number_from("expires", 0, LATEST_DUE_MS),
    "remove_on_complete": _keep,
    "result_max_bytes": _number_from("result_max_bytes", 1, 10**9),
    "result_ttl": _number_from("result_ttl", 1, LONGEST_MS),
    "store_results": _yes_or_no,
    "user_id": _user,
}
#: Read when the job runs: what is wrong must not be found only there.
_READ_LATER = _CHECKS.keys() - set(JobOptions._fields)
