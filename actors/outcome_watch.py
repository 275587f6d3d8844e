"""Failure callbacks of jobs whose end no worker's hooks have seen: a lost lease for good, a cancel, an actor
that no worker knows, a key that the worker did not have.

A worker puts a callback into its verdict (middleware/callbacks.py). What the store itself ends, and what a
worker gives up before it runs, is told by the stream of events alone, which this reads on its way to the
audit.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from broker.codec import UndecodablePayload, is_secret
from broker.following import following_id
from broker.worker.intake import UNHEARD
from jobs.errors import (
    CallboardError,
    ForgedMessage,
    InvalidPayload,
    KeyShredded,
    KeyUnavailable,
    PayloadTooLarge,
    StoreUnavailable,
)
from jobs.events import AttemptDetail, EventSink
from jobs.model import Event, Job, Outcome
from jobs.states import JobState
from middleware.callbacks import call, callback_of, failure_form, message_form

if TYPE_CHECKING:
    from dramatiq import Message

    from broker.broker import CallboardBroker

logger = logging.getLogger(__name__)

#: Verdicts of a worker, which has sent what follows, unless it gave the job up before it ran.
BY_A_WORKER = frozenset({Outcome.COMPLETED, Outcome.FAILED})
ENDED = frozenset({JobState.FAILED, JobState.CANCELLED})
#: A callback that cannot be sent because of these will not be sent later either.
FOR_GOOD = (UndecodablePayload, ForgedMessage, InvalidPayload, PayloadTooLarge, KeyShredded)
#: Events that are remembered: while the database is away the same ones come again and again.
MOST_REMEMBERED = 10_000


class OutcomeWatch:
    """Sends the callbacks, then hands the events to `inner`, if any. Writing an event twice sends one
    callback, because its id is made of the event."""

    def __init__(self, broker: "Callable[[], CallboardBroker]", inner: EventSink | None = None) -> None:
        self._broker = broker
        self._inner = inner
        self._told: OrderedDict[str, None] = OrderedDict()

    def write(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.state in ENDED and _unheard(event):
                self._tell(event)
        if self._inner is not None:
            self._inner.write(events)

    def _tell(self, event: Event) -> None:
        job_id = following_id(event.job_id, event.token, "on_failure")
        if job_id in self._told:
            return
        try:
            for_good = self._send(event, job_id)
        except (StoreUnavailable, KeyUnavailable):
            raise  # the reader comes again with the same events
        except (CallboardError, UndecodablePayload) as error:
            if isinstance(error.__cause__, KeyUnavailable):
                raise error.__cause__ from None
            logger.error("The callback of job %s was not sent: %s", event.job_id, type(error).__name__)
            for_good = isinstance(error, FOR_GOOD)
        if for_good:
            self._told[job_id] = None
            if len(self._told) > MOST_REMEMBERED:
                self._told.popitem(last=False)

    def _send(self, event: Event, job_id: str) -> bool:
        """Whether there is no more to be done for this event."""
        broker = self._broker()
        job = broker.store.get(event.job_id)
        if job is None:
            return True  # it was removed before its event was read
        broker.codec.check(job)  # what would not have run shall have nobody called either
        actor, message = broker.actors.get(event.actor), broker.decode(job)
        target = callback_of("on_failure", message.options, actor.options if actor is not None else {})
        if target is None:
            if actor is None:
                logger.warning(
                    "Job %s ended, and nobody is told: this process does not know its actor %s.",
                    event.job_id,
                    event.actor,
                )
            return actor is not None
        error = (orjson.loads(job.record) if job.record else {}).get("error", {})
        call(
            broker,
            target,
            _form_of(broker, job, message),
            str(event.state),
            failure_form(error, str(event.state), _detail(event).fingerprint),
            job_id=job_id,
            tenant_id=event.lane,
        )
        return True


def _unheard(event: Event) -> bool:
    """Whether no worker's hooks have seen this end."""
    if event.outcome not in BY_A_WORKER:
        return True
    return event.outcome is Outcome.FAILED and _detail(event).error_code in UNHEARD


def _detail(event: Event) -> AttemptDetail:
    try:
        return AttemptDetail.from_bytes(event.detail)
    except (ValueError, TypeError):
        return AttemptDetail()  # it is none of ours: the audit says so


def _form_of(broker: "CallboardBroker", job: Job, message: "Message[Any]") -> dict[str, Any]:
    if message.actor_name in broker.actors:
        return message_form(broker, message, broker.rules_of, secret=is_secret(job))
    # Nobody here knows whether its arguments are private.
    return {**message.asdict(), "args": [], "kwargs": {}, "options": {}}
