"""Leaves what the audit row of an attempt needs beside the numbers that the engine knows.

The row itself is written from the event stream by a reader in each worker process, so that a database
that is away for minutes loses none.
"""

import logging
import math
from base64 import b64encode
from collections.abc import Callable
from typing import Any, NamedTuple

import dramatiq
from dramatiq.broker import MessageProxy

from jobs.errors import CallboardError
from jobs.events import AttemptDetail
from jobs.failures import describe
from jobs.model import Outcome
from middleware.codes import code_of
from middleware.current import running
from middleware.delivery import Delivery, arguments_of, delivery

logger = logging.getLogger(__name__)

#: Sealed arguments beyond this, in bytes, are left out of the row; their digest stays.
LARGEST_INPUTS = 16_384
LONGEST_UNIT = 20
CACHED = "answered from the cache: the actor did not run"


class SealedInputs(NamedTuple):
    """The arguments of a job, encrypted, and their keyed digest."""

    sealed: bytes
    digest: str


class Audit(dramatiq.Middleware):
    """High in the stack, so that its after-hook sees what others decided.

    `seal_inputs` encrypts the arguments of an attempt that failed for its row. Without it rows have no
    arguments: they are never there in the clear.
    """

    def __init__(self, seal_inputs: Callable[[Delivery], SealedInputs] | None = None) -> None:
        self._seal_inputs = seal_inputs

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
            if user or job.trace_id or job.cost or job.cached:
                amount, unit = _cost(job)
                job.detail = AttemptDetail(
                    user_id=str(user or ""),
                    reason=CACHED if job.cached else "",
                    trace_id=job.trace_id,
                    cost=amount,
                    cost_unit=unit,
                ).to_bytes()
            return
        amount, unit = _cost(job)
        inputs, digest = self._inputs(job)
        failure = describe(cause, arguments_of(job))
        retried = job.verdict is not None and job.verdict.outcome is Outcome.RETRY
        job.detail = AttemptDetail(
            user_id=str(user or ""),
            error_type=failure.type,
            error_code=code_of(job, cause),
            error_message=failure.message,
            stack="\n".join(failure.stack),
            fingerprint=failure.fingerprint,
            reason="" if retried else failure.message,
            input_digest=digest,
            inputs=inputs,
            trace_id=job.trace_id,
            cost=amount,
            cost_unit=unit,
        ).to_bytes()

    def after_skip_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        self.after_process_message(broker, message)

    def _inputs(self, job: Delivery) -> tuple[str, str]:
        if self._seal_inputs is None:
            return "", ""
        try:
            sealed, digest = self._seal_inputs(job)
        except CallboardError as error:  # the key is gone, say; the row is needed all the same
            logger.warning("The audit row of %s has no arguments: %s", job.message_id, error)
            return "", ""
        return b64encode(sealed).decode() if len(sealed) <= LARGEST_INPUTS else "", digest


def cost(amount: float, unit: str = "usd") -> None:
    """Add to what this attempt costs, such as the price of a request to a provider, for its audit row.

    One attempt has one unit. Outside a worker it does nothing. Raises ValueError for an amount that is
    negative or no number, for a unit that is not 1 to 20 printable characters, and for a second unit.
    """
    if not math.isfinite(amount) or amount < 0:
        raise ValueError("a cost must be a number from 0 on")
    if not 0 < len(unit) <= LONGEST_UNIT or not unit.isprintable():
        raise ValueError(f"the unit of a cost must be 1 to {LONGEST_UNIT} printable characters")
    job = running.get()
    if job is None:
        return
    before, known = job.cost or (0.0, unit)
    if known != unit:
        raise ValueError(f"this attempt has costs in {known} already; give all of them in one unit")
    job.cost = (before + amount, unit)


def _cost(job: Delivery) -> tuple[str, str]:
    return (repr(float(job.cost[0])), job.cost[1]) if job.cost else ("", "")
