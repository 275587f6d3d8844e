"""What can go wrong, in words a person can act on. Every error of ours is a CallboardError."""

import math
from datetime import timedelta

from jobs.texts import printable


class CallboardError(Exception):
    """Base of all errors whose message is one sentence for a person."""


class IllegalTransition(CallboardError):
    """A store was about to move a job where the table of transitions does not allow."""


class StoreUnavailable(CallboardError):
    """The store of jobs cannot be reached. What was being sent may have been accepted: send it again."""


class StoreFull(CallboardError):
    """The store refuses new jobs (memory or event backlog full); work still drains."""


class UnknownActor(CallboardError):
    """No actor has this name."""


class UnknownQueue(CallboardError):
    """No queue has this name."""


class JobNotFound(CallboardError):
    """No job has this id (never accepted, or removed by retention)."""


class InvalidPayload(CallboardError):
    """Arguments do not fit the actor's type hints; the message names the field, never its value."""


class JobIdTaken(InvalidPayload):
    """The id belongs to a job of another actor or tenant; nothing was accepted."""


class PayloadTooLarge(CallboardError):
    """The encoded arguments are over the size limit."""


class PermanentError(CallboardError):
    """Raise it from an actor: trying again would not help. The job is dead-lettered at once."""


class RetryAfter(CallboardError):
    """Raise it from an actor to be tried again after `seconds`. It spends an attempt."""

    def __init__(self, seconds: float, message: str = "asked to come back later") -> None:
        super().__init__(message)
        self.seconds = seconds


class HoldJob(CallboardError):
    """Raise it from an actor or a middleware when the job may not run now: it goes back to its place, no
    attempt is spent, and `rests` (the job, its lane or its queue) starts nothing for `seconds`.

    `seconds` may be text, as a `Retry-After` header has it. Raises ValueError when it is no number, so that
    the attempt fails by that instead."""

    def __init__(self, seconds: float | str | timedelta, reason: object, rests: str = "job") -> None:
        if rests not in ("job", "lane", "queue"):
            raise ValueError("rests must be job, lane or queue")
        self.reason = printable(reason)
        super().__init__(self.reason)
        self.seconds = _seconds(seconds)
        self.rests = rests


class JobCancelled(CallboardError):
    """Raised in an actor whose job was cancelled while it ran."""


class InvalidAdjustment(CallboardError):
    """This rule cannot be changed while running, or not to this value."""


def _seconds(given: object) -> float:
    if isinstance(given, timedelta):
        return given.total_seconds()
    try:
        seconds = float(given)  # type: ignore[arg-type]  # what is no number is refused
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        raise ValueError(f"HoldJob takes seconds, and this {type(given).__name__} is no number") from None
    return 0.0 if math.isnan(seconds) else seconds
