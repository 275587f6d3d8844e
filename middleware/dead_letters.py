"""Routes a job that failed for good to its queue's dead-letter queue, with the reason."""

from typing import Any

import dramatiq
from dramatiq.broker import MessageProxy

from jobs.failures import describe
from jobs.model import Outcome, Verdict
from jobs.rules import RulesOf
from middleware.delivery import Delivery, arguments_of, delivery


class DeadLetters(dramatiq.Middleware):
    """The rule is the queue's `dead_letter`. Nothing is dead-lettered here that another verdict claims."""

    def __init__(self, rules_of: RulesOf) -> None:
        self._rules_of = rules_of

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        self._route(delivery(message))

    def after_skip_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        self._route(delivery(message))

    def _route(self, message: Delivery) -> None:
        if not message.failed or message.verdict is not None:
            return
        cause = message.exception or RuntimeError("a middleware failed the job without saying why")
        message.verdict = Verdict(
            message.job.id,
            message.job.token,
            Outcome.FAILED,
            record=describe(cause, arguments_of(message)).to_record(),
            dead_letter=self._rules_of(message.queue_name).dead_letter,
        )
