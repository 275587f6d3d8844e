"""Actors that have a schedule of their own, and what the stock `periodiq` command asks of them.

    @actor(periodic=cron("0 9 * * 1-5"), schedule={"timezone": "Europe/Berlin"})

periodiq reckons in the host's zone, never fires on Sundays, skips months, and its middleware drops retries.
So the spec that an actor declares gives way to one of ours: it has periodiq's two verbs and our arithmetic.
What periodiq then sends becomes the very job that our scheduler makes of that tick.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from broker.options import JobOptions
from jobs.errors import CallboardError, InvalidPayload, InvalidSchedule
from jobs.rules import QueueRules
from jobs.schedules import Schedule, Source, arguments, from_document, job_options
from jobs.times.cron import Cron

if TYPE_CHECKING:
    import dramatiq

#: Options of an actor, and of no job.
PERIODIC, SCHEDULE = "periodic", "schedule"
ACTOR_NAMES = frozenset({PERIODIC, SCHEDULE})
#: What periodiq gives a job.
SCHEDULED_AT = "scheduled_at"
_TIMINGS = ("cron", "every", "at")
_SECOND = timedelta(seconds=1)
_LONG = timedelta(days=1)
#: Lengths of periodiq's lists when nothing is left out; its days of the week have Sunday twice.
_ALL = (60, 24, 31, 12, 8)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Standing(NamedTuple):
    """What else says whether and how an actor's schedule runs: the settings may have another of its name, and
    somebody may have paused it."""

    other: Callable[[str], Schedule | None] = lambda name: None
    paused: Callable[[str], bool] = lambda name: False


#: What tests have, and brokers of one's own: the code alone says.
ALONE = Standing()


class Periodic:
    """The schedule of an actor, in the place of periodiq's CronSpec: the option `periodic`."""

    def __init__(self, schedule: Schedule, standing: Standing) -> None:
        self.schedule = schedule
        self._standing = standing

    def now(self) -> Schedule | None:
        """The schedule as it is to run; None: not by its actor."""
        schedule = self._standing.other(self.schedule.name) or self.schedule
        return schedule if schedule.enabled and schedule.actor == self.schedule.actor else None

    def validate(self, date: datetime) -> bool:
        """periodiq's question: whether to fire now."""
        schedule = self.now()
        if schedule is None or tick_at(schedule, date) is None:
            return False
        return not self._standing.paused(schedule.name)  # last, because it asks the database

    def next_valid_date(self, last: datetime) -> datetime:
        """periodiq's question: when to look again."""
        import pendulum  # by whoever asks it is there already

        schedule = self.now()
        tick = None if schedule is None else schedule.plan.next_after(_plain(last))
        return pendulum.instance(tick or last + _LONG)

    def __str__(self) -> str:
        return self.schedule.plan.timing.text

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


def cron(spec: str, timezone: str = "UTC") -> Cron:
    """Five fields or a name such as `@daily`, for `periodic=`; other than periodiq's it knows `L` (the last
    day of the month), `5L` and `mon#1`. Raises InvalidSchedule."""
    return Cron.parse(spec, timezone)


def code_schedules(broker: "dramatiq.Broker") -> list[Schedule]:
    """The schedules that actors declare, by name."""
    found = (
        actor.options[SCHEDULE] for _, actor in sorted(broker.actors.items()) if SCHEDULE in actor.options
    )
    return list(found)


def declare_schedule(actor: "dramatiq.Actor[..., Any]", rules: QueueRules, standing: Standing) -> None:
    """Put a Schedule in the place of what an actor declares. Raises InvalidSchedule naming the actor."""
    from broker.actor import CallboardActor  # which imports this

    name, declared = actor.actor_name, actor.options.get(SCHEDULE)
    try:
        if not isinstance(actor, CallboardActor):
            raise InvalidSchedule("declare it with `from actors.declare import actor`.")
        if isinstance(declared, Schedule):  # by another broker, before
            schedule = declared
        else:
            schedule = _schedule_of(name, actor.options.get(PERIODIC), declared)
        _check_options(schedule, actor, rules)
    except CallboardError as error:
        raise refusal(name, error) from None
    actor.options[SCHEDULE] = schedule
    actor.options[PERIODIC] = Periodic(schedule, standing)


def refusal(actor: str, error: CallboardError) -> InvalidSchedule:
    """The error with the name of the actor whose schedule is at fault."""
    return InvalidSchedule(f"The schedule of actor {actor} cannot be used: {error}")


def a_tick(schedule: Schedule) -> datetime | None:
    """One of its ticks, to try it with."""
    return schedule.plan.next_after(_EPOCH)


def tick_at(schedule: Schedule, moment: datetime) -> datetime | None:
    """The tick of this minute that has come, the latest of several; None when there is none."""
    moment = _plain(moment)
    tick = schedule.plan.previous_before(moment + _SECOND)
    return tick if tick is not None and tick >= moment.replace(second=0) else None


def call_at(
    actor: "dramatiq.Actor[..., Any]", options: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments and options of the job that periodiq means: `scheduled_at` is all it gives.

    Raises InvalidPayload for an actor without a schedule, and at a time that is no tick of it.
    """
    name, given = actor.actor_name, options[SCHEDULED_AT]
    periodic = actor.options.get(PERIODIC)
    if not isinstance(periodic, Periodic):
        raise InvalidPayload(f"scheduled_at is given to {name}, which has no schedule: declare periodic=.")
    if more := sorted(options.keys() - {SCHEDULED_AT}):
        raise InvalidPayload(f"{more[0]} cannot be given with scheduled_at: the schedule of {name} says it.")
    schedule, moment = periodic.now(), _moment(given)
    tick = None if schedule is None else tick_at(schedule, moment)
    if schedule is None or tick is None:
        raise InvalidPayload(f"scheduled_at {moment.isoformat()} is no tick of the schedule of {name}.")
    return arguments(schedule, tick), job_options(schedule, tick)


def _plain(moment: datetime) -> datetime:
    # pendulum's own reckons in another way, and calls no time of Python's its equal.
    return datetime.fromtimestamp(int(moment.timestamp()), UTC)


def _moment(given: object) -> datetime:
    try:
        moment = datetime.fromisoformat(given) if isinstance(given, str) else given
    except ValueError:
        moment = None
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise InvalidPayload('scheduled_at must be a time with its zone such as "2026-12-24T18:00:00+01:00".')
    return moment


def _schedule_of(name: str, periodic: Any, words: Any) -> Schedule:
    if words is not None and not isinstance(words, Mapping):
        raise InvalidSchedule('schedule= must be a table such as {"timezone": "Europe/Berlin"}.')
    document = dict(words or {})
    if taken := document.keys() & {"name", "actor", "source"}:
        raise InvalidSchedule(f"schedule= must not have {min(taken)!r}, which is the actor's.")
    if periodic is not None:
        if both := document.keys() & set(_TIMINGS):
            raise InvalidSchedule(f"periodic= and schedule= with {min(both)!r} both say when: keep one.")
        document["cron"] = _spec_of(periodic)
        if isinstance(periodic, Cron) and periodic.zone != "UTC":
            document.setdefault("timezone", periodic.zone)
    return from_document({**document, "name": name, "actor": name}, Source.CODE)


def _spec_of(periodic: Any) -> str:
    if isinstance(periodic, str):
        return periodic
    if isinstance(periodic, Cron):
        return periodic.text
    if isinstance(spec := getattr(periodic, "parsed_from", None), str):
        return spec  # of periodiq's cron(); it reads a few things in another way than it says
    if callable(lists := getattr(periodic, "astuple", None)):
        return " ".join(
            "*" if len(values) >= whole else ",".join(map(str, values))
            for values, whole in zip(lists(), _ALL, strict=True)
        )
    raise InvalidSchedule('periodic= must be a cron such as cron("0 9 * * 1-5").')


def _check_options(schedule: Schedule, actor: "dramatiq.Actor[..., Any]", rules: QueueRules) -> None:
    tick = a_tick(schedule)
    if tick is None:
        raise InvalidSchedule(
            "it never fires: nothing is left between its start, its end and what it excludes."
        )
    chosen = JobOptions.declared(actor.options, rules).with_call(job_options(schedule, tick))
    if rules.require_tenant and not chosen.tenant_id:
        raise InvalidSchedule(f"queue {actor.queue_name} takes only jobs of a tenant: give tenant_id.")
