"""Dramatiq's completion callbacks of groups. A member that returned "success: false" is not completed."""

from typing import Any

import dramatiq
from dramatiq import middleware
from dramatiq.broker import MessageProxy

from jobs.model import Outcome
from middleware.delivery import delivery
from middleware.ends import outcome_of


class GroupCallbacks(middleware.GroupCallbacks):
    """Sends a group's callbacks with the verdict of its last member."""

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        if "group_completion_uuid" in message.options and outcome_of(delivery(message)) is Outcome.COMPLETED:
            super().after_process_message(broker, message, result=result, exception=exception)  # type: ignore[no-untyped-call]

    def sends_after(self, message: MessageProxy) -> bool:
        """Whether a job is of a group; one that could not be counted is not settled as done."""
        return "group_completion_uuid" in message.options

    def after_skip_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        self.after_process_message(broker, message)
