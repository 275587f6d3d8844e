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


class UnknownLimit(CallboardError):
    """No limit or provider has this name, or not for a tenant."""


class JobNotFound(CallboardError):
    """No job has this id (never accepted, or removed by retention)."""


class InvalidPayload(CallboardError):
    """Arguments do not fit the actor's type hints; the message names the field, never its value."""


class JobIdTaken(InvalidPayload):
    """The id belongs to a job of another actor or tenant; nothing was accepted."""


class PayloadTooLarge(CallboardError):
    """The encoded arguments are over the size limit."""


class ForgedMessage(CallboardError):
    """A message was not made by this fleet, was altered, or belongs to another job. It does not run."""


class KeyMissing(CallboardError):
    """A key is not here, or was shredded: nothing is sent without it, and nothing that needs it is read."""


class KeyShredded(KeyMissing):
    """The key of a tenant was deleted on purpose; what was encrypted with it is unreadable for ever."""


class KeyUnavailable(KeyMissing):
    """A key cannot be asked for now, because the database that keeps it does not answer."""


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


class StepError(PermanentError):
    """A step of an actor is not what a step must be: its name is taken, its outcome too large, or of a kind
    that cannot be kept. Trying again would not help."""


class RunEnded(BaseException):
    """Raised in an actor whose run shall end now. It is no error: `except Exception` does not take it for
    one, as with asyncio's CancelledError; `finally` and `with` do their work."""


class JobCancelled(RunEnded):
    """Raised in an actor whose job was cancelled while it ran, or by an actor that gives its job up."""


class LimitReached(RunEnded):
    """Raised by `limit()` in a run: there is nothing of its resource now. The job goes back to its place, no
    attempt is spent, and it starts anew after `seconds` or when something is given back. Who means to go on
    without the resource catches this by its name."""

    def __init__(self, seconds: float, reason: object, rests: str = "job") -> None:
        self.reason = printable(reason)
        super().__init__(self.reason)
        self.seconds = seconds
        self.rests = rests


class LeaseLost(RunEnded):
    """Raised in an actor whose process does not hold its job any more: another may run it already, and
    nothing that this run does is kept."""


class JobExpired(CallboardError):
    """The job was fetched after its time: it does not start any more, and no attempt is spent. `code` says
    which time that was: `expires` gives expired, `deadline` deadline."""

    def __init__(self, message: str, code: str = "expired") -> None:
        super().__init__(message)
        self.code = code


class InvalidAdjustment(CallboardError):
    """This rule cannot be changed while running, or not to this value."""


class InvalidSchedule(CallboardError):
    """A schedule is not one that could run; the message names the field, its value and what is right."""


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
