"""Dramatiq's pipelines, at no cost for a job that is in none."""

from typing import Any

import dramatiq
from dramatiq import middleware
from dramatiq.broker import MessageProxy

from jobs.model import Outcome
from middleware.delivery import delivery
from middleware.ends import outcome_of


class Pipelines(middleware.Pipelines):
    """Sends the next job with the verdict of the one before. A job that was skipped has the result None."""

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        if "pipe_target" in message.options and outcome_of(delivery(message)) is Outcome.COMPLETED:
            super().after_process_message(broker, message, result=result, exception=exception)  # type: ignore[no-untyped-call]

    def sends_after(self, message: MessageProxy) -> bool:
        """Whether another job comes next; when that cannot be sent, this one is not settled as done."""
        return "pipe_target" in message.options

    def after_skip_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        self.after_process_message(broker, message)
