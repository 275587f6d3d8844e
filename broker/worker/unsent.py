"""What becomes of a job when what follows from it (a pipeline's next job, a callback) cannot be sent.

It is not settled as done: what follows would be lost without a trace. What may pass is waited for without an
attempt, and the job runs again then; what can never be sent makes it a dead letter with that reason.
"""

from typing import TYPE_CHECKING, Any

from dramatiq import Middleware

from broker.logs import complain
from broker.proxy import JobProxy
from broker.worker.verdicts import cut_short, failed
from jobs.backoff import Backoff
from jobs.errors import (
    CallboardError,
    ForgedMessage,
    HoldJob,
    InvalidPayload,
    KeyShredded,
    PayloadTooLarge,
    PermanentError,
    RunEnded,
    UnknownActor,
    UnknownQueue,
)
from jobs.failures import type_name, worded_without_values
from jobs.hiding import values_of
from jobs.model import Outcome
from jobs.rules import QueueRules

if TYPE_CHECKING:
    from broker.broker import CallboardBroker

#: Sending the same again would be refused again.
FOR_GOOD = (
    InvalidPayload,
    PayloadTooLarge,
    UnknownActor,
    UnknownQueue,
    PermanentError,
    KeyShredded,
    ForgedMessage,
)
#: It grows with each run in vain, because each one does the job's work again.
WAIT = Backoff("exponential", delay_ms=10_000, max_ms=600_000)


def wait_to_send(proxy: JobProxy, error: BaseException) -> HoldJob:
    """Hold a job until what follows from it can be sent. No attempt is spent: it has done its work."""
    in_vain = max(0, proxy.job.token - proxy.job.attempt)  # deliveries before this one that spent none
    hide = values_of(proxy)
    why = hide.hide(str(error)) if isinstance(error, CallboardError) else type_name(error, hide)
    return worded_without_values(
        HoldJob(WAIT.before(2 + in_vain) / 1000, f"what follows from it could not be sent: {why}")
    )


def is_sender(middleware: Middleware, proxy: JobProxy) -> bool:
    """Whether its after-hooks have something to send that follows from this job."""
    asked = getattr(middleware, "sends_after", None)
    return asked is not None and asked(proxy)


def not_sent(
    broker: "CallboardBroker",
    name: str,
    where: Middleware,
    proxy: JobProxy,
    error: BaseException,
    kwargs: dict[str, Any],
) -> dict[str, Any]:
    """What the hooks of this name that come next are told, when `where` could not send what follows."""
    if not _ends_otherwise(proxy, broker.rules_of(proxy.queue_name), error):
        return kwargs
    if name == "after_process_message":
        kwargs = {"exception": proxy.exception}
    if not proxy.failed:
        return kwargs
    # It was done for those that were asked before; now it has failed, and something else may follow.
    hooks = [(middleware, hook) for middleware, hook in broker.hooks(name) if is_sender(middleware, proxy)]
    for middleware, hook in hooks:
        try:
            hook(broker, proxy, **kwargs)
        except BaseException as another:  # noqa: BLE001  as where hooks are called
            complain(name, middleware, another)
        if middleware is where:
            break
    return kwargs


def _ends_otherwise(proxy: JobProxy, rules: QueueRules, error: BaseException) -> bool:
    """Let a job that would have ended go on or fail instead; False: that leaves its end as it is."""
    ends = _end_of(proxy)
    if ends not in (Outcome.COMPLETED, Outcome.FAILED):
        return False  # it comes again, or was ended on purpose
    for_good = isinstance(error, FOR_GOOD)
    if isinstance(error, CallboardError) and not for_good:
        proxy.failed, proxy.verdict = False, None
        proxy.stuff_exception(wait_to_send(proxy, error))
    elif ends is Outcome.FAILED:
        return False
    elif not for_good and proxy.job.attempt < proxy.job.max_attempts:
        # Nobody knows whether it passes: the attempts are its bound.
        proxy.stuff_exception(error)
        proxy.verdict = failed(proxy, rules, error, again=True)
    else:
        proxy.verdict = None
        proxy.stuff_exception(error)
        proxy.fail()
    proxy.follow = ()
    return True


def _end_of(proxy: JobProxy) -> Outcome | None:
    """How it would be settled, if for good."""
    if proxy.verdict is not None:
        return proxy.verdict.outcome
    cause = proxy.exception
    if isinstance(cause, HoldJob | RunEnded) or cut_short(proxy):
        return None
    return Outcome.FAILED if proxy.failed or cause is not None else Outcome.COMPLETED
