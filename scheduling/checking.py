"""Whether a schedule could be fired here: its actor is known, and takes its arguments and its options."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from broker.options import DRAMATIQ_NAMES, NAMES, JobOptions, check_names
from jobs.errors import CallboardError, InvalidPayload, InvalidSchedule
from jobs.schedules import Overlap, Schedule, arguments, job_options
from jobs.times.durations import text_of_seconds

if TYPE_CHECKING:
    from actors.composition import App

#: Any tick will do to fill the templates.
_SAMPLE = datetime(2024, 2, 29, 12, 0, tzinfo=UTC)
#: Gaps between ticks that are looked at for the shortest one.
_GAPS = 24


def check(app: "App", schedule: Schedule) -> None:
    """Raise UnknownActor, InvalidPayload or InvalidSchedule, in one sentence, unless it could be fired."""
    app.validate(schedule.actor, arguments(schedule, _SAMPLE))
    actor = app.broker.actors[schedule.actor]
    if schedule.overlap is not Overlap.ALLOW and actor.options.get("unique"):
        # A job has one unique key: that of the schedule would let in what the actor's own keeps out.
        raise InvalidSchedule(
            f"overlap must be allow for {schedule.actor!r}, which has its own 'unique': leave overlap out."
        )
    _check_jitter(schedule)
    rules = app.rules_of(actor.queue_name)
    options = job_options(schedule, _SAMPLE)
    check_names(options, NAMES | DRAMATIQ_NAMES | app.broker.actor_options)
    chosen = JobOptions.declared(actor.options, rules).with_call(options)
    if rules.require_tenant and not chosen.tenant_id:
        raise InvalidPayload(f"Jobs of {actor.queue_name!r} need a tenant: give the schedule a tenant_id.")


def _check_jitter(schedule: Schedule) -> None:
    """A tick that comes after the next one would be counted as missed."""
    jitter, timing = schedule.plan.jitter_s, schedule.plan.timing
    if not jitter:
        return
    tick, looked = timing.next_after(_SAMPLE), 0
    while tick is not None and looked < _GAPS and (following := timing.next_after(tick)) is not None:
        gap = round((following - tick).total_seconds())
        if jitter >= gap:
            raise InvalidSchedule(
                f"jitter must be shorter than the {text_of_seconds(gap)} between two ticks, "
                f"not {text_of_seconds(jitter)}."
            )
        tick, looked = following, looked + 1


def flaw_of(app: "App", schedule: Schedule) -> str | None:
    """Why it could not be fired, if so."""
    try:
        check(app, schedule)
    except CallboardError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  a validator of the actor's own; its text may quote a value
        return f"{schedule.actor} cannot check its arguments: {type(error).__name__}."
    return None
