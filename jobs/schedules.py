"""A schedule: what is sent, when, and what becomes of the ticks that were missed or come too thick.

Pure: who keeps schedules and fires them is in the room `scheduling`. The document of a schedule is its JSON
form, of one shape in settings, API and SQL.
"""

import difflib
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeVar

from jobs.errors import InvalidPayload, InvalidSchedule
from jobs.ids import check_gate, check_tenant_id
from jobs.model import FIRST_MOMENT_MS, FIRST_PRIORITY, LAST_PRIORITY, UniqueMode
from jobs.times import durations
from jobs.times.documents import PLAN_KEYS, plan_document, plan_of
from jobs.times.intervals import Once
from jobs.times.plan import Plan
from jobs.times.templates import check_templates as check_templates
from jobs.times.templates import filled as filled
from jobs.times.zones import instant_text

LONGEST_NAME = 64
NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST_NAME - 1}}}")
DEFAULT_WINDOW_S = 86_400
#: Ids are remembered for seven days: a tick that is older could be fired twice.
LONGEST_WINDOW_S = 6 * 86_400
DEFAULT_MAX, LARGEST_MAX = 100, 10_000
LONGEST_DESCRIPTION = 500


class Source(StrEnum):
    """Where a schedule is declared."""

    CODE = "code"  # @actor(periodic=…)
    SETTINGS = "settings"
    RUNTIME = "runtime"  # API or command line, kept in SQL


class CatchUp(StrEnum):
    """Which of the ticks that were missed are fired after all."""

    SKIP = "skip"  # none
    LAST = "last"  # the last one
    ALL = "all"  # all of them, the newest `catch_up_max`


class Overlap(StrEnum):
    """What a tick does while the job of the last one is still there."""

    ALLOW = "allow"  # runs beside it
    SKIP = "skip"  # is left out
    QUEUE = "queue"  # waits for it; of several that wait, the newest


@dataclass(frozen=True, slots=True)
class Schedule:
    """One schedule. Raises InvalidSchedule for what could not run, whatever the actor.

    `args` are the actor's, by name, with templates in their texts (`filled`). `options` are those of
    send_with_options, times in ms: tenant_id, user_id, priority, time_limit, attempts, expires, deadline,
    gate. Ticks older than `catch_up_window_s` are never caught up; `catch_up_max` is for ALL.
    """

    name: str
    actor: str
    plan: Plan
    args: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    catch_up: CatchUp = CatchUp.LAST
    catch_up_window_s: int = DEFAULT_WINDOW_S
    catch_up_max: int = DEFAULT_MAX
    overlap: Overlap = Overlap.ALLOW
    source: Source = Source.RUNTIME
    enabled: bool = True
    description: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)
        if not isinstance(self.actor, str) or not self.actor:
            raise InvalidSchedule(f"actor of schedule {self.name!r} must be the name of an actor.")
        _whole("catch_up_window", self.catch_up_window_s, 0, LONGEST_WINDOW_S, " seconds (6 days)")
        _whole("catch_up_max", self.catch_up_max, 1, LARGEST_MAX)
        if self.overlap is Overlap.QUEUE and self.options.get("gate"):
            raise InvalidSchedule("gate must not be given with overlap 'queue', which has its own.")
        used = check_templates(self.args)
        if "previous_tick" in used and isinstance(self.plan.timing, Once):
            raise InvalidSchedule(
                "args must not use {previous_tick}: a schedule with `at` has one tick only."
            )


def check_name(value: object) -> str:
    """The schedule's name itself. Raises InvalidSchedule when it could not be one."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise InvalidSchedule(
            f"name {str(value)[:100]!r} must be 1 to {LONGEST_NAME} letters, digits and ._-, first a letter "
            "or digit."
        )
    return value


def tick_id(name: str, tick: datetime) -> str:
    """The id of a tick's job, the same whoever fires it: that is why it runs once."""
    return f"cron:{name}:{instant_text(tick)}"


def previous_of(schedule: Schedule, tick: datetime) -> datetime | None:
    """The tick before this one, for the period that it stands for: before the first one, what would have
    been it without a start. None for a schedule with `at`."""
    return schedule.plan.previous_before(tick) or schedule.plan.timing.previous_before(tick)


def arguments(schedule: Schedule, tick: datetime) -> dict[str, Any]:
    """What the actor gets at this tick: the arguments with their templates filled."""
    previous = previous_of(schedule, tick) if "previous_tick" in check_templates(schedule.args) else None
    return {name: filled(value, tick, previous, schedule.name) for name, value in schedule.args.items()}


def job_options(schedule: Schedule, tick: datetime) -> dict[str, Any]:
    """The options of a tick's job, for send_with_options; all ways of firing use them."""
    options: dict[str, Any] = {
        **schedule.options,
        "job_id": tick_id(schedule.name, tick),
        "run_at": round(schedule.plan.due(schedule.name, tick).timestamp() * 1_000),
    }
    if schedule.overlap is not Overlap.ALLOW:
        mode = UniqueMode.UNTIL_FINISHED if schedule.overlap is Overlap.SKIP else UniqueMode.LATEST
        options["unique"] = {"key": f"schedule:{schedule.name}", "mode": mode.value}
    return options


def to_document(schedule: Schedule) -> dict[str, Any]:
    """The schedule as JSON values, without its source; what is as by default is left out."""
    found: dict[str, Any] = {"name": schedule.name, "actor": schedule.actor, **plan_document(schedule.plan)}
    if schedule.args:
        found["args"] = dict(schedule.args)
    for key, (option, _, write) in _OPTIONS.items():
        if option in schedule.options:
            found[key] = write(schedule.options[option])
    if schedule.catch_up is not CatchUp.LAST:
        found["catch_up"] = schedule.catch_up.value
    if schedule.catch_up_window_s != DEFAULT_WINDOW_S:
        found["catch_up_window"] = durations.text_of_seconds(schedule.catch_up_window_s)
    if schedule.catch_up_max != DEFAULT_MAX:
        found["catch_up_max"] = schedule.catch_up_max
    if schedule.overlap is not Overlap.ALLOW:
        found["overlap"] = schedule.overlap.value
    if not schedule.enabled:
        found["enabled"] = False
    if schedule.description:
        found["description"] = schedule.description
    return found


def from_document(document: Mapping[str, Any], source: Source = Source.RUNTIME) -> Schedule:
    """The schedule of a document. What is null counts as not given. Raises InvalidSchedule, which names the
    field, for anything that is wrong with it, except for whether the actor exists and takes the arguments."""
    given = {key: value for key, value in document.items() if value is not None}
    for key in given:
        if key not in KEYS:
            raise InvalidSchedule(f"a schedule has no {str(key)[:50]!r}: {_nearest(str(key))}")
    return Schedule(
        name=check_name(given.get("name", "")),
        actor=_text("actor", given.get("actor", ""), 200),
        plan=plan_of(given),
        args=_json_table(given.get("args", {})),
        options=MappingProxyType(
            {option: read(key, given[key]) for key, (option, read, _) in _OPTIONS.items() if key in given}
        ),
        catch_up=_word(CatchUp, "catch_up", given.get("catch_up", CatchUp.LAST)),
        catch_up_window_s=durations.seconds(
            "catch_up_window", given.get("catch_up_window", DEFAULT_WINDOW_S), 0, LONGEST_WINDOW_S
        ),
        catch_up_max=_whole("catch_up_max", given.get("catch_up_max", DEFAULT_MAX), 1, LARGEST_MAX),
        overlap=_word(Overlap, "overlap", given.get("overlap", Overlap.ALLOW)),
        source=source,
        enabled=_yes_or_no("enabled", given.get("enabled", True)),
        description=_text("description", given.get("description", ""), LONGEST_DESCRIPTION),
    )


def fingerprint(schedule: Schedule) -> str:
    """32 hex digits that change when anything does that matters: all but the description and the source."""
    document = to_document(schedule)
    document.pop("description", None)
    # Arguments declared in code need not be JSON.
    text = json.dumps(document, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


_E = TypeVar("_E", bound=StrEnum)


def _word(words: type[_E], key: str, value: object) -> _E:
    try:
        return words(str(value))
    except ValueError:
        choices = ", ".join(words)
        raise InvalidSchedule(f"{key} {str(value)[:50]!r} must be one of {choices}.") from None


def _nearest(key: str) -> str:
    near = difflib.get_close_matches(key, KEYS, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(KEYS)}."


def _yes_or_no(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidSchedule(f"{key} {str(value)[:50]!r} must be true or false.")
    return value


def _text(key: str, value: object, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest or not value.isprintable():
        raise InvalidSchedule(f"{key} must be a text of at most {longest} printable characters.")
    return value


def _json_table(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidSchedule("args must be a table of arguments by name.")
    check_templates(value)  # also how deep it is
    return {_argument_name(name): _json_value(str(name), part) for name, part in value.items()}


def _argument_name(name: object) -> str:
    if not isinstance(name, str):
        raise InvalidSchedule(f"args must have texts for names, and {str(name)[:50]!r} is none.")
    if not _is_unicode(name):
        raise InvalidSchedule("args must have names of whole characters, and one has half a surrogate pair.")
    return name


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _json_value(name: str, value: Any) -> Any:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidSchedule(f"args.{name[:50]} must have whole numbers of 64 bits, and has a larger one.")
    if isinstance(value, str) and not _is_unicode(value):
        raise InvalidSchedule(f"args.{name[:50]} must be of whole characters, and has half a surrogate pair.")
    if (
        value is None
        or isinstance(value, (str, bool, int))
        or (isinstance(value, float) and math.isfinite(value))
    ):
        return value
    if isinstance(value, Mapping):
        return {_argument_name(key): _json_value(name, part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(name, part) for part in value]
    raise InvalidSchedule(f"args.{name[:50]} must be of JSON values, and has a {type(value).__name__}.")


def _whole(key: str, value: object, least: int, most: int, unit: str = "") -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidSchedule(
            f"{key} {str(value)[:50]!r} must be a whole number from {least} to {most}{unit}."
        )
    return value


def _checked_id(check: Callable[[object], str]) -> Callable[[str, Any], str]:
    def read(key: str, value: Any) -> str:
        try:
            return check(value)
        except InvalidPayload as error:
            raise InvalidSchedule(str(error)) from None

    return read


def _number(least: int, most: int) -> Callable[[str, Any], int]:
    return lambda key, value: _whole(key, value, least, most)


def _span(least: int) -> Callable[[str, Any], int]:
    return lambda key, value: durations.milliseconds(key, value, least, FIRST_MOMENT_MS - 1)


def _same(value: Any) -> Any:
    return value


#: Of a document: which option of send_with_options a key stands for, how it is read, how it is written.
_OPTIONS: Mapping[str, tuple[str, Callable[[str, Any], Any], Callable[[Any], Any]]] = {
    "tenant_id": ("tenant_id", _checked_id(check_tenant_id), _same),
    "user_id": ("user_id", lambda key, value: _text(key, value, 200), _same),
    "gate": ("gate", _checked_id(check_gate), _same),
    "priority": ("priority", _number(FIRST_PRIORITY, LAST_PRIORITY), _same),
    "attempts": ("attempts", _number(1, 1_000), _same),
    "timeout": ("time_limit", _span(1), durations.text_of_ms),
    "expires": ("expires", _span(1), durations.text_of_ms),
    "deadline": ("deadline", _span(1), durations.text_of_ms),
}
#: All that a document may have.
KEYS = (
    *("name", "actor", *PLAN_KEYS, "args", *_OPTIONS),
    *("catch_up", "catch_up_window", "catch_up_max", "overlap", "enabled", "description"),
)
