"""The section of schedules: jobs that are sent at times, beside those that the code declares.

Here the shape is checked. Whether a cron can ever fire, and whether the arguments fit the actor, is found out
where actors and arithmetic are at hand: by the scheduler, `callboard doctor` and `callboard config check`.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, field_validator, model_validator

from settings.policy import Section
from settings.redis_section import Text
from settings.units import Arguments, Milliseconds, Whole, Words, empty_map, parse_seconds

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NAME_RULE = "must be a letter or digit and up to 63 letters, digits, . _ -"
#: Ids of jobs are remembered for seven days: what is caught up later than that might be a second one.
LONGEST_CATCH_UP_S = 6 * 86_400
MOST_CAUGHT_UP = 10_000
_TIMINGS = ("cron", "every", "at")
_UNITS = {
    **dict.fromkeys(("every", "jitter", "catch_up_window"), "s"),
    **dict.fromkeys(("timeout", "expires", "deadline"), "ms"),
}
_FIELD = r"[0-9A-Za-z*,/?#-]+"
_CRON = re.compile(rf"@[a-z]+|{_FIELD}(?:\s+{_FIELD}){{4}}", re.IGNORECASE)
_DAY = r"\d{4}-\d{2}-\d{2}"
_DATES = re.compile(rf"{_DAY}(?:/{_DAY})?")
_TIME_OF_DAY = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00")
_DAYS = re.compile(r"[0-9a-z]+(?:[-,][0-9a-z]+)*", re.IGNORECASE)


def _moment(value: object) -> object:
    """A time with its zone, in UTC and whole seconds."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError('must be a time with its zone such as "2026-12-24T18:00:00+01:00"')
    return value.astimezone(UTC).replace(microsecond=0)


def _whole_seconds(value: object) -> int:
    seconds = parse_seconds(value)
    if seconds != int(seconds):
        raise ValueError('must be whole seconds such as "90s" or "5min"')
    return int(seconds)


def _days_as_text(value: object) -> object:
    # A date in TOML needs no quotes.
    if isinstance(value, list | tuple):
        return [day.isoformat() if type(day) is date else day for day in value]
    return value


def _windows(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("must be a list of windows, or JSON text in the environment") from None


Moment = Annotated[datetime, BeforeValidator(_moment), PlainSerializer(lambda moment: moment.isoformat())]
WholeSeconds = Annotated[int, BeforeValidator(_whole_seconds)]
AtLeastOneMs = Annotated[Milliseconds, Field(ge=1)]
Attempts = Annotated[Whole, Field(ge=1, le=1_000)]
Priority = Annotated[Whole, Field(ge=1, le=10)]


class Window(Section):
    """A time of each day, or of the `days` "mon-fri" or "sat,sun", in which nothing fires."""

    begin: Text = Field(alias="from")
    to: Text
    days: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: object) -> object:
        if isinstance(data, dict) and (strange := sorted(data.keys() - {"from", "to", "days"})):
            raise ValueError(f"must not have {strange[0]!r}; a window has from, to and days")
        return data

    @model_validator(mode="after")
    def _times_of_a_day(self) -> "Window":
        if not (_TIME_OF_DAY.fullmatch(self.begin) and _TIME_OF_DAY.fullmatch(self.to)):
            raise ValueError('must have from and to as times of the day such as "22:00"')
        if self.begin == self.to:
            raise ValueError("must have a from and a to that differ")
        if self.days is not None and not _DAYS.fullmatch(self.days):
            raise ValueError('must have days such as "mon-fri" or "sat,sun"')
        return self

    def words(self) -> dict[str, str]:
        """As it is written."""
        days = {} if self.days is None else {"days": self.days}
        return {"from": self.begin, "to": self.to, **days}

    def __str__(self) -> str:
        return f"{self.begin} to {self.to}" + (f" on {self.days}" if self.days else "")


class Exclude(Section):
    """When a schedule does not fire, in its own zone: on `dates` ("2026-12-25", or from the first to the last
    day "2026-12-27/2027-01-02") and within `windows`. Such a tick is left out, not put off."""

    dates: Annotated[Words, BeforeValidator(_days_as_text)] = ()
    windows: Annotated[tuple[Window, ...], BeforeValidator(_windows)] = ()

    @field_validator("dates")
    @classmethod
    def _are_dates(cls, dates: tuple[str, ...]) -> tuple[str, ...]:
        for text in dates:
            if not _DATES.fullmatch(text) or not _are_days(text.split("/")):
                raise ValueError('must be dates such as "2026-12-25" or "2026-12-27/2027-01-02"')
        return dates

    def words(self) -> dict[str, Any]:
        """As it is written."""
        return {"dates": list(self.dates), "windows": [window.words() for window in self.windows]}


class ScheduleSettings(Section):
    """Jobs of an actor at times: by a `cron` of five fields or a name such as @daily, `every` so long since
    1970, or once `at` a time. Durations are text; a bare number is in seconds, for `timeout`, `expires` and
    `deadline` in milliseconds, as the jobs have them.

    - `timezone` is where the cron's hours are, and the exclusions'.
    - `jitter` puts each job off by up to so long, by the same on every host.
    - `start` and `end`: no tick before and after.
    - `args` by name; {tick}, {previous_tick} and {schedule} in them are filled in.
    - `tenant_id`, `user_id`, `priority`, `timeout`, `attempts`, `gate`, and from its tick on `expires` and
      `deadline`, are options of the jobs.
    - `catch_up` after a downtime: "skip" the missed ticks, the "last" one alone, or "all", of those that are
      not older than `catch_up_window` the newest `catch_up_max`.
    - `overlap` while the job of the last tick is not done: "allow" a second one, "skip" this tick, or "queue"
      one, the newest.
    """

    actor: Text
    cron: str | None = None
    every: Annotated[WholeSeconds, Field(ge=1, le=366 * 86_400)] | None = None
    at: Moment | None = None
    timezone: Text = "UTC"
    exclude: Exclude = Exclude()
    jitter: Annotated[WholeSeconds, Field(ge=0, le=86_400)] = 0
    start: Moment | None = None
    end: Moment | None = None
    args: Arguments = Field(default_factory=empty_map)
    tenant_id: Text | None = None
    user_id: Text | None = None
    priority: Priority | None = None
    timeout: AtLeastOneMs | None = None
    attempts: Attempts | None = None
    expires: AtLeastOneMs | None = None
    deadline: AtLeastOneMs | None = None
    gate: Text | None = None
    catch_up: Literal["skip", "last", "all"] = "last"
    catch_up_window: Annotated[WholeSeconds, Field(ge=1, le=LONGEST_CATCH_UP_S)] = 86_400
    catch_up_max: Annotated[Whole, Field(ge=1, le=MOST_CAUGHT_UP)] = 100
    overlap: Literal["allow", "skip", "queue"] = "allow"
    enabled: bool = True
    description: str = ""

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, cron: str | None) -> str | None:
        if cron is not None and not _CRON.fullmatch(cron.strip()):
            raise ValueError('must be a cron of five fields such as "0 9 * * 1-5"')
        return cron and cron.strip()

    @field_validator("timezone")
    @classmethod
    def _a_zone(cls, name: str) -> str:
        if name == "UTC":
            return name
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError('must be a time zone such as "Europe/Berlin"') from None
        return name

    @model_validator(mode="after")
    def _agrees(self) -> "ScheduleSettings":
        given = [name for name in _TIMINGS if getattr(self, name) is not None]
        if len(given) != 1:
            found = f", not {' and '.join(given)}" if given else ""
            raise ValueError(f"must have one of cron, every and at{found}")
        if self.start is not None and self.end is not None and self.start > self.end:
            raise ValueError("must have a start that is not after its end")
        return self

    def words(self) -> dict[str, Any]:
        """What differs from the defaults, as the API and the database write a schedule: plain JSON."""
        given: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if value != field.get_default(call_default_factory=True):
                given[name] = f"{value}{_UNITS[name]}" if name in _UNITS else _plain(value)
        return given


def over_schedules(table: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The rows of the table that go below what is given: with another timing, theirs does not count."""
    rows = dict(table)
    for name, words in given.items():
        if name in rows and isinstance(words, Mapping) and not words.keys().isdisjoint(_TIMINGS):
            rows[name] = {key: value for key, value in rows[name].items() if key not in _TIMINGS}
    return rows


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Exclude):
        return value.words()
    if isinstance(value, Mapping):
        return dict(value)
    return value


def _are_days(texts: list[str]) -> bool:
    try:
        days = [date.fromisoformat(text) for text in texts]
    except ValueError:
        return False
    return days == sorted(days)
