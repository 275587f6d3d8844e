"""Leaves what the audit row of an attempt needs beside the numbers that the engine knows.

The row itself is written from the event stream by a reader in each worker process, so that a database
that is away for minutes loses none.
"""

from typing import Any

import dramatiq
from dramatiq.broker import MessageProxy
from dramatiq.middleware import TimeLimitExceeded

from jobs.events import AttemptDetail
from jobs.failures import describe
from jobs.model import Outcome
from middleware.delivery import arguments_of, delivery


class Audit(dramatiq.Middleware):
    """First in the stack, so that its after-hook sees what all others decided."""

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        job = delivery(message)
        user = job.options.get("user_id")
        cause = job.exception
        if cause is None:
            if user:
                job.detail = AttemptDetail(user_id=str(user)).to_bytes()
            return
        failure = describe(cause, arguments_of(job))
        retried = job.verdict is not None and job.verdict.outcome is Outcome.RETRY
        job.detail = AttemptDetail(
            user_id=str(user or ""),
            error_type=failure.type,
            error_code=_code(cause, retried, job.failed),
            error_message=failure.message,
            stack="\n".join(failure.stack),
            fingerprint=failure.fingerprint,
            reason="" if retried else failure.message,
        ).to_bytes()

    def after_skip_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        self.after_process_message(broker, message)


def _code(cause: BaseException, retried: bool, failed: bool) -> str:
    # Whether it ran again is told by the outcome; that time was short is told by nothing else.
    if isinstance(cause, TimeLimitExceeded):
        return "timeout"
    return "retryable" if retried else "permanent" if failed else ""
