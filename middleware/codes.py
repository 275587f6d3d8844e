"""The word that says of what kind a failure is: in the record, the audit row, and for dead-letter rules."""

from typing import Any

from dramatiq.middleware import TimeLimitExceeded

from jobs.model import Outcome
from middleware.delivery import Delivery

#: Tried again; given up because trying again would not help; because the attempts were used up.
RETRYABLE, PERMANENT, EXHAUSTED = "retryable", "permanent", "exhausted"
#: One attempt took too long; the whole job's time was over; no retry would have begun within `retry_for`; it
#: had not started in time.
TIMEOUT, DEADLINE, TOO_LATE, EXPIRED = "timeout", "deadline", "retry_for", "expired"


def code_of(run: Delivery, cause: BaseException) -> str:
    """What was decided of this run, or what its failure says by itself."""
    if run.code:
        return run.code
    if isinstance(cause, TimeLimitExceeded):
        return TIMEOUT
    if run.verdict is not None and run.verdict.outcome is Outcome.RETRY:
        return RETRYABLE
    return PERMANENT if run.failed else ""


def failed_as(run: Delivery, message: Any, code: str) -> None:
    """Call a run failed for good. What took too long is called so, however it was judged."""
    if not isinstance(run.exception, TimeLimitExceeded) or code in (DEADLINE, TOO_LATE):
        run.code = code
    message.fail()
