"""Dramatiq's `on_success` and `on_failure`, for which "success: false" is a failure too."""

from typing import Any

import dramatiq
from dramatiq import middleware
from dramatiq.broker import MessageProxy

from jobs.errors import HoldJob, JobCancelled
from middleware.delivery import delivery


class Callbacks(middleware.Callbacks):
    """Sends to the actor that a message or its actor names, after each attempt, as Dramatiq does."""

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        failure = exception or delivery(message).exception
        if isinstance(failure, HoldJob | JobCancelled):
            return  # it will run later, or was not wanted any more
        super().after_process_message(  # type: ignore[no-untyped-call]
            broker, message, result=result, exception=failure
        )
