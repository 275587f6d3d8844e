"""What a person did wrong with a schedule."""

from jobs.errors import CallboardError


class UnknownSchedule(CallboardError):
    """No schedule has this name."""


class ScheduleExists(CallboardError):
    """There is one of this name already."""


class ScheduleChanged(CallboardError):
    """Somebody else has changed it since it was read."""


class NotEditable(CallboardError):
    """Code or settings declare it, and only they change it."""
