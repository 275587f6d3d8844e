"""The one way from a tick to its job: the engine, catch-up and `run now` all end here.

The job's id is the tick's, so however often and by however many a tick is fired, there is one job of it.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from database.errors import DatabaseUnavailable
from database.schedule_history import TickKind, TickOutcome, TickRow
from integrations.errors import TransientFailure
from jobs.errors import CallboardError, KeyUnavailable, StoreFull, StoreUnavailable, UnknownActor
from jobs.schedules import Overlap, Schedule, arguments, job_options
from scheduling.catch_up import COUNTED

if TYPE_CHECKING:
    from dramatiq import Message

    from actors.composition import App
    from broker.sent import SentMessage

#: "Not now": the same may work later, and nothing is wrong with the schedule.
AWAY = (StoreUnavailable, StoreFull, DatabaseUnavailable, KeyUnavailable)
#: Something that only jobs like this one need, such as the store of large arguments, is away.
LATER = (TransientFailure, OSError)
THERE = "its job was there already"
MADE_WAY = "its job made way for a newer one"

logger = logging.getLogger(__name__)


class Due(NamedTuple):
    """One tick of a schedule to be fired."""

    schedule: Schedule
    tick: datetime


@dataclass(frozen=True, slots=True)
class Fired:
    """What became of a tick. `late_ms`: how long after `due` it was handed over; `job_id` is the job of the
    tick, or the one that keeps it out; `replaced` one that made way for it."""

    schedule: str
    tick: datetime
    due: datetime
    outcome: TickOutcome
    job_id: str | None
    fired_at: datetime
    note: str = ""
    created: bool = False
    replaced: str | None = None

    @property
    def late_ms(self) -> int:
        return max(0, round((self.fired_at - self.due).total_seconds() * 1000))

    def row(self, kind: TickKind = TickKind.TICK, by: str = "") -> TickRow:
        """As the history keeps it."""
        return TickRow(
            self.schedule,
            kind.value,
            self.tick,
            self.due,
            self.outcome.value,
            self.job_id,
            self.fired_at,
            self.late_ms,
            1,
            self.note,
            by,
        )


def fire(app: "App", schedule: Schedule, tick: datetime, now: datetime) -> Fired:
    """Hand over the job of one tick. Raises StoreUnavailable and the like when that cannot be done now."""
    (fired,) = fire_many(app, [Due(schedule, tick)], now)
    return fired


def fire_many(app: "App", dues: Sequence[Due], now: datetime) -> list[Fired]:
    """Hand over the jobs of many ticks, in order and in few round trips.

    A tick whose job is refused for good is answered as refused. Raises what is in `AWAY` or `LATER`;
    some jobs may be in then, and firing the same ticks again adds none twice.
    """
    made = [_message(app, due) for due in dues]
    messages = [message for message in made if not isinstance(message, Exception)]
    sent = iter(_sent(app, messages))
    fired = [
        _refused(due, message, now)
        if isinstance(message, Exception)
        else _fired(due, message, next(sent), now)
        for due, message in zip(dues, made, strict=True)
    ]
    return _without_those_that_made_way(app, dues, fired)


def run_now(app: "App", schedule: Schedule, now: datetime) -> Fired:
    """Hand over a job that is no tick's, because somebody wants one. Overlap counts, the time does not.

    Raises what enqueueing raises.
    """
    actor = app.broker.actors.get(schedule.actor)
    if actor is None:
        raise UnknownActor(f"There is no actor named {schedule.actor!r}.")
    options = job_options(schedule, now) | {"job_id": f"run:{schedule.name}:{now:%Y%m%dT%H%M%S.%f}"}
    options.pop("run_at", None)
    message = actor.message_with_options(kwargs=arguments(schedule, now), **options)
    (sent,) = app.broker.enqueue_many([message])
    return _fired(Due(schedule, now), message, sent, now, now)


def _sent(app: "App", messages: "Sequence[Message[Any]]") -> "Sequence[SentMessage[Any] | Exception]":
    try:
        return app.broker.enqueue_many(messages) if messages else []
    except (*AWAY, *LATER):
        raise
    except Exception:  # noqa: BLE001  one of them is at fault, and must not keep the others back
        return [_one(app, message) for message in messages]


def _one(app: "App", message: "Message[Any]") -> "SentMessage[Any] | Exception":
    try:
        return app.broker.enqueue_many([message])[0]
    except (*AWAY, *LATER):
        raise
    except Exception as error:  # noqa: BLE001
        return error


def _message(app: "App", due: Due) -> "Message[Any] | Exception":
    schedule, tick = due.schedule, due.tick
    actor = app.broker.actors.get(schedule.actor)
    if actor is None:
        return UnknownActor(f"There is no actor named {schedule.actor!r}.")
    try:
        return actor.message_with_options(kwargs=arguments(schedule, tick), **job_options(schedule, tick))
    except (*AWAY, *LATER):
        raise
    except Exception as error:  # noqa: BLE001
        return error


def _fired(
    due: Due,
    message: "Message[Any]",
    sent: "SentMessage[Any] | Exception",
    now: datetime,
    at: datetime | None = None,
) -> Fired:
    if isinstance(sent, Exception):
        return _refused(due, sent, now)
    schedule, tick = due.schedule, due.tick
    outcome, note = TickOutcome.ENQUEUED, ""
    if not sent.created and sent.message_id != message.message_id:
        outcome, note = TickOutcome.SKIPPED_OVERLAP, f"{sent.message_id} was not done"
    elif not sent.created:
        note = THERE
    elif sent.replaced:
        note = f"took the place of {sent.replaced}"
    when = at or schedule.plan.due(schedule.name, tick)
    return Fired(schedule.name, tick, when, outcome, sent.message_id, now, note, sent.created, sent.replaced)


def _without_those_that_made_way(app: "App", dues: Sequence[Due], fired: list[Fired]) -> list[Fired]:
    """Of jobs that were there already, with one in the queue at most, some made way for newer ones before
    whoever had sent them could write that down: they are neither in the store, nor did they ever run."""
    gone = {
        one.job_id: at
        for at, (due, one) in enumerate(zip(dues, fired, strict=True))
        if one.note == THERE
        and due.schedule.overlap is Overlap.QUEUE
        and one.job_id is not None
        and app.store.get(one.job_id) is None
    }
    if gone:
        from database.job_outcomes import last_states

        ran = last_states(app.engine(), [job_id for job_id in gone if job_id is not None])
        for job_id, at in gone.items():
            if job_id not in ran:
                fired[at] = replace(fired[at], outcome=TickOutcome.SKIPPED_OVERLAP, note=MADE_WAY)
    return fired


def _refused(due: Due, error: Exception, now: datetime) -> Fired:
    # Only our own errors are worded without values.
    why = str(error) if isinstance(error, CallboardError) else f"unexpected {type(error).__name__}"
    when = due.schedule.plan.due(due.schedule.name, due.tick)
    return Fired(due.schedule.name, due.tick, when, TickOutcome.REFUSED, None, now, why)


def missed_row(schedule: Schedule, count: int, last: datetime, now: datetime, why: str) -> TickRow:
    """The row of a number of ticks that were left out."""
    if count >= COUNTED:
        why = f"{why}; {COUNTED} or more"
    late_ms = max(0, round((now - last) / timedelta(milliseconds=1)))
    outcome = TickOutcome.SKIPPED_MISSED.value
    return TickRow(schedule.name, TickKind.MISSED.value, last, last, outcome, None, now, late_ms, count, why)


def utc_now() -> datetime:
    return datetime.now(UTC)
