"""10,000 schedules: how long a scheduler takes to begin, also after a day in which none ran, and how late it
is when all are due together."""

import time
from datetime import UTC, datetime, timedelta

from benchmarks.measurement import Measurement, Reading, Round, Target, percentile
from benchmarks.sides import TEXT, Ours, Side, SideFailed, only_ours
from database.scheduler_lease import SchedulerLease
from database.schedules import Schedules
from jobs.model import Job
from jobs.schedules import Schedule, tick_id
from jobs.times.cron import Cron
from jobs.times.intervals import Once
from jobs.times.plan import Plan
from scheduling.engine import Engine
from scheduling.entries import new_row

SCHEDULES = 10_000
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")
SOON_S = 10.0


def measure_start(side: Side, turn: Round) -> Reading:
    """Seconds from a process that has the lease to one that knows when all are due."""
    ours = only_ours(side)
    count = turn.scaled(SCHEDULES)
    plans = [_plan(number) for number in range(count)]
    token = _store(ours, [_schedule(number, plan) for number, plan in enumerate(plans)])
    engine = Engine(ours.app, lambda: True)
    began = time.perf_counter()
    engine.step(token)
    took = time.perf_counter() - began
    assert engine.count == count
    _forget(ours, token)
    return Reading(took)


def measure_late_start(side: Side, turn: Round) -> Reading:
    """Seconds from a process that has the lease to the first job of a tick that is due now, when each
    schedule has missed a day of ticks, one a minute."""
    ours = only_ours(side)
    count = turn.scaled(SCHEDULES)
    plans = [Plan(Cron.parse("* * * * *", ZONES[number % len(ZONES)])) for number in range(count)]
    schedules = [_schedule(number, plan) for number, plan in enumerate(plans)]
    token = _store(ours, schedules, datetime.now(UTC) - timedelta(days=1))
    engine = Engine(ours.app, lambda: True)
    began = time.time()
    tick = datetime.now(UTC).replace(second=0, microsecond=0)
    engine.step(token)
    first_step = time.time() - began
    jobs = [ours.app.store.get(tick_id(schedule.name, tick)) for schedule in schedules]
    first = min(job.created_at for job in jobs if job is not None) / 1000 - began
    _all_looked_at(engine, token)
    took = time.time() - began
    _forget(ours, token)
    return Reading(max(0.0, first), {"all on time": first_step, "all looked at": took})


def measure_lateness(side: Side, turn: Round) -> Reading:
    """The 99th percentile, in milliseconds, of how long after its tick a job could start: all are due at the
    same moment."""
    ours = only_ours(side)
    count = turn.scaled(SCHEDULES)
    tick = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=round(SOON_S + count / 2_000))
    token = _store(ours, [_schedule(number, Plan(Once(tick))) for number in range(count)])
    engine = Engine(ours.app, lambda: True)
    due = _all_looked_at(engine, token)
    assert due is not None
    spare = (due - datetime.now(UTC)).total_seconds()
    if spare < 0:
        raise SideFailed(f"ours was not ready {-spare:.1f} s before its schedules were due.")
    while due is not None:
        time.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds()))
        due = engine.step(token)
    late = [_lateness(ours, tick_id(_name(number), tick), tick) for number in range(count)]
    _forget(ours, token)
    return Reading(percentile(late, 99), {"median": percentile(late, 50), "worst": max(late)})


def _all_looked_at(engine: Engine, token: int) -> datetime | None:
    """When it is to be called again once nothing of the start is left to do."""
    due = engine.step(token)
    while due is not None and due <= datetime.now(UTC):
        due = engine.step(token)
    return due


def _lateness(ours: Ours, job_id: str, tick: datetime) -> float:
    job = ours.app.store.get(job_id)
    assert isinstance(job, Job)
    return max(0.0, job.created_at - tick.timestamp() * 1000)


def _plan(number: int) -> Plan:
    return Plan(Cron.parse(f"{number % 60} {number // 60 % 24} * * {number % 7}", ZONES[number % len(ZONES)]))


def _schedule(number: int, plan: Plan) -> Schedule:
    return Schedule(_name(number), "noop", plan, {"number": number, "text": TEXT})


def _name(number: int) -> str:
    return f"schedule-{number:05}"


def _store(ours: Ours, schedules: list[Schedule], since: datetime | None = None) -> int:
    """Put them into an empty table, past the checks that are of no account here; the token to fire with."""
    ours.clear()
    ours.app.settings = ours.app.settings.model_copy(update={"schedules": {}})
    token = SchedulerLease(ours.app.engine()).take("bench")
    assert token is not None
    begun = since or datetime.now(UTC)
    rows = [new_row(ours.app, schedule, begun, "bench") for schedule in schedules]
    Schedules(ours.app.engine()).reconcile(token, rows, {})
    return token


def _forget(ours: Ours, token: int) -> None:
    from sqlalchemy import delete

    from database.engine import write_session
    from database.models import ScheduleRow, ScheduleTick

    with write_session(ours.app.engine()) as session:
        session.execute(delete(ScheduleRow))
        session.execute(delete(ScheduleTick))
    SchedulerLease(ours.app.engine()).release(token)
    ours.clear()


_NO_STOCK = "stock has no schedules"
SCHEDULES_START = Measurement(
    "schedules_start_s", "s", False, Target(under=3), measure_start, without_stock=_NO_STOCK, rounds=1
)
SCHEDULES_LATE_START = Measurement(
    "schedules_start_late_s",
    "s",
    False,
    Target(under=3),
    measure_late_start,
    without_stock=_NO_STOCK,
    rounds=1,
)
SCHEDULES_LATENESS = Measurement(
    "schedules_lateness_p99",
    "ms",
    False,
    Target(under=100),
    measure_lateness,
    without_stock=_NO_STOCK,
    rounds=1,
)
