"""Ticks that need no calendar: every so many seconds, and once."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jobs.errors import InvalidSchedule
from jobs.times.durations import text_of_seconds
from jobs.times.zones import as_utc, instant_text, moment

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONGEST_EVERY_S = 366 * 86_400


@dataclass(frozen=True, slots=True)
class Every:
    """Each multiple of `seconds` (1 to 366 days) since 1970-01-01 00:00 UTC, so that all hosts agree."""

    seconds: int

    def __post_init__(self) -> None:
        if isinstance(self.seconds, bool) or not isinstance(self.seconds, int):
            raise InvalidSchedule(f"every {str(self.seconds)[:50]!r} must be whole seconds.")
        if not 1 <= self.seconds <= LONGEST_EVERY_S:
            raise InvalidSchedule(
                f"every {self.seconds} must be from 1 to {LONGEST_EVERY_S} seconds (366 days)."
            )

    @property
    def text(self) -> str:
        return text_of_seconds(self.seconds)

    def next_after(self, instant: datetime) -> datetime | None:
        """The first tick after the instant."""
        since = as_utc(instant) - _EPOCH
        ticks = (since.days * 86_400 + since.seconds) // self.seconds
        return _moment((ticks + 1) * self.seconds)

    def previous_before(self, instant: datetime) -> datetime | None:
        """The last tick before the instant."""
        since = as_utc(instant) - _EPOCH
        whole = since.days * 86_400 + since.seconds
        return _moment((whole - (0 if since.microseconds else 1)) // self.seconds * self.seconds)


@dataclass(frozen=True, slots=True)
class Once:
    """One tick, `at` a moment with a time zone; a fraction of a second is cut off."""

    at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", moment("at", self.at))

    @property
    def text(self) -> str:
        return instant_text(self.at)

    def next_after(self, instant: datetime) -> datetime | None:
        """The tick, when it is after the instant."""
        return self.at if self.at > instant else None

    def previous_before(self, instant: datetime) -> datetime | None:
        """The tick, when it is before the instant."""
        return self.at if self.at < instant else None


def _moment(seconds: int) -> datetime | None:
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except OverflowError:  # the years 1 and 9999 are the ends of the calendar
        return None
