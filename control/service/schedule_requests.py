"""What is asked of schedules, checked in form before anything is touched. Names are camelCase in JSON."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, Field, model_validator
from pydantic.alias_generators import to_camel

from control.service.requests import Priority, Strict, Tenant
from jobs.errors import InvalidSchedule
from jobs.ids import LONGEST_GATE
from settings import parse_ms

LONGEST_WORDS, LONGEST_LIST, LONGEST_DESCRIPTION = 200, 400, 500
MOST_NEXT, MOST_TICKS = 100, 1_000
#: Exactly one of these says when.
TIMINGS = ("cron", "every", "at")


def _a_span(text: str) -> str:
    parse_ms(text)
    return text


Span = Annotated[str, Field(max_length=64), AfterValidator(_a_span)]
Moment = Annotated[AwareDatetime, Field(strict=False)]
ScheduleName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="letters, digits and . _ -")
]


class WindowRequest(Strict):
    """A part of the day, by the schedule's own zone, in which nothing is fired."""

    begin: str = Field(alias="from", max_length=8, description='such as "22:00"')
    to: str = Field(max_length=8, description='such as "06:00"; before `from`: over midnight')
    days: str | None = Field(None, max_length=64, description='of the beginning, such as "mon-fri"')


class ExclusionRequest(Strict):
    """When nothing is fired."""

    dates: Annotated[list[str], Field(max_length=LONGEST_LIST)] = Field(
        default_factory=list, description='local dates, or ranges such as "2026-12-27/2027-01-02"'
    )
    windows: Annotated[list[WindowRequest], Field(max_length=LONGEST_LIST)] = Field(default_factory=list)


class When(Strict):
    """When it fires. Exactly one of `cron`, `every` and `at`."""

    cron: str | None = Field(None, max_length=LONGEST_WORDS, description='such as "0 9 * * mon-fri"')
    every: Span | None = Field(None, description='such as "90s" or "5min"')
    at: Moment | None = Field(None, description="once, at that moment")
    timezone: str = Field("UTC", max_length=64, description='such as "Europe/Berlin"')
    exclude: ExclusionRequest | None = None
    jitter: Span | None = Field(None, description="each tick comes later by up to so much, always the same")
    start: Moment | None = Field(None, description="no tick before")
    end: Moment | None = Field(None, description="no tick after")


class PreviewRequest(When):
    """A timing to look at; nothing is kept."""

    name: ScheduleName = Field("preview", description="the jitter depends on it")
    after: Moment | None = Field(None, description="from then on; left out: from now on")
    count: Annotated[int, Field(ge=1, le=MOST_NEXT)] = 5


class ScheduleRequest(When):
    """A whole schedule. In texts of `args`, `{tick}`, `{previous_tick}` and `{schedule}` are filled in."""

    actor: str = Field(min_length=1, max_length=128)
    args: dict[str, Any] = Field(default_factory=dict, description="the actor's arguments by name")
    tenant_id: Tenant | None = None
    user_id: str | None = Field(None, min_length=1, max_length=128)
    priority: Priority | None = None
    timeout: Span | None = Field(None, description='of one attempt, such as "2min"')
    attempts: int | None = Field(None, ge=1, le=1_000, description="executions at most")
    expires: Span | None = Field(None, description="the job must have started so long after its tick")
    deadline: Span | None = Field(None, description="the job must have ended so long after its tick")
    gate: str | None = Field(None, min_length=1, max_length=LONGEST_GATE)
    catch_up: Literal["skip", "last", "all"] = Field(
        "last", description="of the ticks that were missed: none, the last one, or all"
    )
    catch_up_window: Span | None = Field(None, description="older ticks are never caught up; 1d, at most 6d")
    catch_up_max: int | None = Field(None, ge=1, le=10_000, description='so many at most with "all"; 100')
    overlap: Literal["allow", "skip", "queue"] = Field(
        "allow", description="while the last job still runs: run beside it, leave the tick out, or queue one"
    )
    enabled: bool = True
    description: str = Field("", max_length=LONGEST_DESCRIPTION)
    version: int | None = Field(None, ge=1, description="refuse when the schedule has another version by now")

    def document(self) -> dict[str, Any]:
        """It in the words of `jobs.schedules.from_document`; what was left out stays out."""
        return document_of(self.model_dump(exclude_unset=True, exclude={"version", "name"}))


class NewScheduleRequest(ScheduleRequest):
    name: ScheduleName


class ScheduleChanges(Strict):
    """What is to be another way. What is left out stays; null takes away what may be left out.

    A new `cron`, `every` or `at` takes the place of the old one; `args` and `exclude` are replaced whole.
    """

    cron: str | None = Field(None, max_length=LONGEST_WORDS)
    every: Span | None = None
    at: Moment | None = None
    timezone: str | None = Field(None, max_length=64)
    exclude: ExclusionRequest | None = None
    jitter: Span | None = None
    start: Moment | None = None
    end: Moment | None = None
    actor: str | None = Field(None, min_length=1, max_length=128)
    args: dict[str, Any] | None = None
    tenant_id: Tenant | None = None
    user_id: str | None = Field(None, min_length=1, max_length=128)
    priority: Priority | None = None
    timeout: Span | None = None
    attempts: int | None = Field(None, ge=1, le=1_000)
    expires: Span | None = None
    deadline: Span | None = None
    gate: str | None = Field(None, min_length=1, max_length=LONGEST_GATE)
    catch_up: Literal["skip", "last", "all"] | None = None
    catch_up_window: Span | None = None
    catch_up_max: int | None = Field(None, ge=1, le=10_000)
    overlap: Literal["allow", "skip", "queue"] | None = None
    enabled: bool | None = None
    description: str | None = Field(None, max_length=LONGEST_DESCRIPTION)
    version: int | None = Field(None, ge=1, description="refuse when the schedule has another version by now")

    @model_validator(mode="after")
    def _something(self) -> "ScheduleChanges":
        if not self.model_fields_set - {"version"}:
            raise ValueError("give at least one thing to change")
        if sum(getattr(self, name) is not None for name in TIMINGS) > 1:
            raise ValueError("give one of cron, every and at, not several")
        return self

    def over(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document of a schedule with these changes."""
        given = document_of(self.model_dump(exclude_unset=True, exclude={"version"}), keep_none=True)
        changed = dict(document)
        if any(given.get(name) is not None for name in TIMINGS):
            changed = {name: value for name, value in changed.items() if name not in TIMINGS}
        for name, value in given.items():
            if value is None:
                changed.pop(name, None)
            else:
                changed[name] = value
        return changed


def document_of(values: Mapping[str, Any], *, keep_none: bool = False) -> dict[str, Any]:
    """Values of a request as JSON values in the words of the settings."""
    document = {name: value for name, value in values.items() if keep_none or value is not None}
    for name in ("at", "start", "end"):
        if document.get(name) is not None:
            document[name] = document[name].isoformat()
    if document.get("exclude") is not None:
        document["exclude"] = _exclusions(document["exclude"])
    return document


def field_of(error: InvalidSchedule) -> str | None:
    """The field of a request that a refusal begins with: `catchUpMax` of "catch_up_max 0 must be …"."""
    word = str(error).partition(" ")[0].rstrip(":")
    first, *rest = word.split(".")
    if first in _OF_CRON:
        return "cron"
    return ".".join([to_camel(first), *rest]) if first in _FIELDS else None


def _exclusions(given: Mapping[str, Any]) -> dict[str, Any]:
    windows = [
        {"from" if name == "begin" else name: value for name, value in window.items() if value is not None}
        for window in given.get("windows", ())
    ]
    dates = list(given.get("dates", ()))
    return {name: value for name, value in (("dates", dates), ("windows", windows)) if value}


#: Where a refusal of a cron begins.
_OF_CRON = ("minute", "hour", "day", "month")
_FIELDS = frozenset(NewScheduleRequest.model_fields)
