"""Routes a job that failed for good to a dead-letter queue, with the reason."""

from typing import Any

import dramatiq
from dramatiq.broker import MessageProxy

from jobs.errors import JobExpired
from jobs.failures import describe
from jobs.letters import Ended, names_of
from jobs.model import Outcome, Verdict
from jobs.rules import RulesOf
from middleware.codes import code_of
from middleware.delivery import Delivery, arguments_of, delivery


class DeadLetters(dramatiq.Middleware):
    """The first of the rules that fits (`dead_letters.rules`), else the queue's `dead_letter`. Nothing is
    dead-lettered here that another verdict claims."""

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
        if message.failed:
            self._route(delivery(message))

    def after_skip_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        if message.failed:
            self._route(delivery(message))

    def _route(self, run: Delivery) -> None:
        if run.verdict is not None:
            return
        cause = run.exception or RuntimeError("a middleware failed the job without saying why")
        code, job = code_of(run, cause), run.job
        ended = Ended(job.queue, job.actor, job.lane, names_of(cause), code, job.attempt)
        run.verdict = Verdict(
            job.id,
            job.token,
            Outcome.FAILED,
            record=describe(cause, arguments_of(run)).to_record(code),
            dead_letter=self._rules_of(run.queue_name).dead_letter_of(ended),
            unspent=isinstance(cause, JobExpired),
        )
