"""The stock `periodiq` command on our actors: it fires our ticks, and its own faults stay outside.

Measured on periodiq 0.14: Sunday crons (`0`, `sun`, `@weekly`) never fire, crons that name months skip ticks,
hours are the host's, and its middleware drops what is retried more than 30 s after its tick.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pendulum
import periodiq
import pytest

from actors.composition import App
from actors.declare import actor
from actors.schedule_standing import ScheduleStanding
from broker.actor import CallboardActor
from broker.periodic import code_schedules
from broker.redis.connection import RedisAddress
from broker.redis.topology import Topology
from broker.testing import FakeJobs, fake
from database.schedules import Schedules, StoredSchedule
from jobs.memory import MemoryStore
from jobs.schedules import tick_id
from jobs.states import JobState
from jobs.times.intervals import Every
from scheduling.firing import fire
from settings import Settings
from tests.actors.test_importing_actors import shipped
from tests.control.running import Running
from tests.fundamentals.stage import make_app
from tests.sealed import KEY_VARIABLE

ROOT = Path(__file__).parents[2]


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[App]:
    app = make_app(monkeypatch, MemoryStore(), home=home)
    yield app
    app.engine().dispose()


@pytest.fixture
def jobs(app: App) -> Iterator[FakeJobs]:
    with fake(app.broker) as jobs:
        yield jobs


class Clock:
    """Time for periodiq: it moves when periodiq sleeps, or asks for its alarm."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, start: datetime, zone: str = "UTC") -> None:
        self.now = pendulum.instance(start).in_timezone(zone)
        monkeypatch.setattr(periodiq.pendulum, "now", lambda: self.now)
        monkeypatch.setattr(periodiq, "sleep", self.move)
        monkeypatch.setattr(periodiq, "alarm", self.move)
        monkeypatch.setattr(periodiq, "signal", lambda *_: None)

    def move(self, seconds: float) -> None:
        self.now = self.now.add(seconds=seconds)


class Recorded:
    """An actor in the hands of periodiq, of which only the sending is noted: a year has many ticks."""

    def __init__(self, made: CallboardActor[..., Any]) -> None:
        self.options = made.options
        self.sent: list[datetime] = []

    def send_with_options(self, *, scheduled_at: str) -> None:
        self.sent.append(datetime.fromisoformat(scheduled_at).astimezone(UTC))


def fired(clock: Clock, made: CallboardActor[..., Any], until: datetime) -> list[datetime]:
    """What periodiq sends from now until then; the tick of the minute that runs is another matter."""
    start, recorded = clock.now, Recorded(made)
    scheduler = periodiq.Scheduler([recorded])
    while clock.now <= until:
        scheduler.schedule()
    return [moment for moment in recorded.sent if start < moment <= until]


@pytest.mark.parametrize(
    ("spec", "zone", "days"),
    [
        ("0 0 * * 0", "UTC", 400),
        ("0 0 * * 7", "UTC", 100),
        ("15 12 * * sun", "Europe/Berlin", 400),
        ("@weekly", "America/New_York", 400),
        ("@monthly", "UTC", 800),
        ("30 6 1 2,7 *", "UTC", 1_500),
        ("0 0 31 * *", "UTC", 800),
        ("0 9 13 * 5", "UTC", 800),
        ("0 9 L * *", "Asia/Kolkata", 800),
        ("0 9 * * 5L", "UTC", 400),
        ("30 2 * * *", "Europe/Berlin", 400),
        ("*/20 1-3 28-31 3,10 *", "Europe/Berlin", 800),
        ("0 3 29 2 *", "UTC", 3_000),
    ],
)
@pytest.mark.parametrize("host", ["UTC", "Pacific/Auckland"])
def test_it_fires_exactly_our_ticks(
    app: App, monkeypatch: pytest.MonkeyPatch, spec: str, zone: str, days: int, host: str
) -> None:
    @actor(periodic=spec, schedule={"timezone": zone})
    def beat() -> None: ...

    start = datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)
    until = start + timedelta(days=days)
    (schedule,) = code_schedules(app.broker)
    ours = schedule.plan.between(start, until, 100_000)
    assert len(ours) > 1
    assert fired(Clock(monkeypatch, start, host), beat, until) == ours


@pytest.mark.parametrize(
    "words",
    [
        {"every": "90s"},
        {"every": "37s"},
        {"cron": "*/5 * * * *", "exclude": {"windows": [{"from": "22:00", "to": "06:00"}]}},
        {"cron": "* * * * *", "start": "2026-01-01T06:00:00Z", "end": "2026-01-01T07:00:00Z"},
        {"at": "2026-01-01T12:34:56Z"},
    ],
)
def test_also_what_periodiq_itself_does_not_know(
    app: App, monkeypatch: pytest.MonkeyPatch, words: dict[str, Any]
) -> None:
    @actor(schedule=words)
    def beat() -> None: ...

    start = datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)
    until = start + timedelta(days=1)
    (schedule,) = code_schedules(app.broker)
    ours = schedule.plan.between(start, until, 100_000)
    assert ours
    assert fired(Clock(monkeypatch, start), beat, until) == ours


def test_started_within_a_minute_it_fires_that_minutes_tick(
    app: App, jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    @actor(periodic="0 9 * * *")
    def daily_report() -> None: ...

    Clock(monkeypatch, datetime(2026, 3, 2, 9, 0, 41, tzinfo=UTC))
    periodiq.Scheduler([daily_report]).schedule()
    assert [job.id for job in jobs.queued()] == ["cron:daily_report:2026-03-02T09:00:00Z"]


def test_a_retry_long_after_its_tick_runs_also_with_periodiqs_middleware(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    extra = {"extra": ["periodiq.PeriodiqMiddleware"]}
    app = make_app(monkeypatch, MemoryStore(), home=home, middleware=extra)
    runs: list[int] = []

    @actor(periodic="* * * * *", attempts=2)
    def beat() -> None:
        runs.append(len(runs))
        if len(runs) == 1:
            raise ConnectionError("away")

    with fake(app.broker) as jobs:
        long_ago = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=10)
        sent = beat.send_with_options(scheduled_at=str(pendulum.instance(long_ago)))
        jobs.run_all()
        jobs.advance(60)
        jobs.run_all()
        job = jobs.store.get(sent.message_id)
    assert runs == [0, 1]
    assert job is not None
    assert job.state is JobState.COMPLETED


def test_the_job_of_a_tick_is_the_same_whoever_fires_it(app: App, jobs: FakeJobs) -> None:
    words = {
        "args": {"day": "{tick}"},
        "tenant_id": "acme",
        "jitter": "5s",
        "overlap": "skip",
        "expires": "1h",
    }

    @actor(periodic="* * * * *", schedule=words)
    def beat(day: str) -> None: ...

    (schedule,) = code_schedules(app.broker)
    tick = datetime.now(UTC).replace(second=0, microsecond=0)
    ours = fire(app, schedule, tick, tick)
    (job,) = jobs.queued()
    theirs = beat.send_with_options(scheduled_at=str(pendulum.instance(tick)))

    assert (ours.created, theirs.created) == (True, False)
    assert ours.job_id == theirs.message_id == job.id
    stored = app.broker.decode(job)
    assert (theirs.args, theirs.kwargs) == (tuple(stored.args), stored.kwargs)
    assert {name: stored.options[name] for name in theirs.options} == theirs.options


# What else than the code says how it runs


def a_row(name: str) -> StoredSchedule:
    now = datetime.now(UTC)
    return StoredSchedule(name, "code", None, 1, True, now, now, "", now, "", "", "")


def fires_now(made: CallboardActor[..., Any]) -> bool:
    return bool(made.options["periodic"].validate(pendulum.now()))


def test_a_paused_schedule_is_not_fired(app: App) -> None:
    @actor(periodic="* * * * *")
    def beat() -> None: ...

    schedules, now = Schedules(app.engine()), datetime.now(UTC)
    schedules.add(a_row("beat"))
    assert fires_now(beat)
    schedules.pause("beat", "ada", now)
    assert not fires_now(beat)
    schedules.resume("beat", now, None)
    assert fires_now(beat)


def test_without_a_database_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = tmp_path / "bare"
    app = make_app(monkeypatch, MemoryStore(), home=home)  # nobody has made its tables

    @actor(periodic="* * * * *")
    def beat() -> None: ...

    assert fires_now(beat)
    assert fires_now(beat)
    app.engine().dispose()
    told = [record.message for record in caplog.records if "pauses" in record.message]
    assert len(told) == 1
    assert told[0].startswith("Schedules are fired without a look at their pauses: ")


def test_a_schedule_of_its_name_in_the_settings_wins(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    changed: dict[str, dict[str, Any]] = {
        "yearly": {"actor": "yearly", "cron": "* * * * *", "args": {"n": 2}},
        "off": {"actor": "off", "cron": "* * * * *", "enabled": False},
        "taken": {"actor": "yearly", "cron": "* * * * *", "args": {"n": 3}},
    }
    app = make_app(monkeypatch, MemoryStore(), home=home, schedules=changed)

    @actor(periodic="@yearly", schedule={"args": {"n": 1}})
    def yearly(n: int) -> None: ...

    @actor(periodic="* * * * *")
    def off() -> None: ...

    @actor(periodic="* * * * *")
    def taken() -> None: ...

    assert [fires_now(made) for made in (yearly, off, taken)] == [True, False, False]
    with fake(app.broker) as jobs:
        yearly.send_with_options(scheduled_at=str(pendulum.now()))
        (job,) = jobs.queued()
        assert app.broker.decode(job).kwargs == {"n": 2}
    assert off.options["periodic"].next_valid_date(pendulum.now()) > pendulum.now()
    app.engine().dispose()


def test_the_settings_are_asked_each_time(home: Path) -> None:
    standing = ScheduleStanding(
        lambda: Settings(home=home), lambda: pytest.fail("no database is needed")
    ).port
    assert standing.other("nobody") is None
    found = standing.other("maintenance-logs")
    assert found is not None
    assert found.actor == "maintenance_logs"


# The real command

BEAT = '''
from actors.declare import actor
from periodiq import cron


@actor(periodic=cron("* * * * *"))
def beat() -> None:
    """Beat."""


@actor(schedule={"every": "1s", "catch_up": "all"})
def pulse() -> None:
    """Under a minute; periodiq fires the latest tick when it starts, and at each new minute."""
'''


@pytest.fixture
def copied_house(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "actors", tmp_path / "actors", ignore=shipped)
    (tmp_path / "actors" / "beat.py").write_text(BEAT)
    return tmp_path


@pytest.fixture
def environment(copied_house: Path, redis_url: str, namespace: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("CALLBOARD")} | {
        "REDIS_URL": redis_url,
        "CALLBOARD_REDIS__NAMESPACE": namespace,
        "CALLBOARD_HOME": str(copied_house / "home"),
        "PYTHONPATH": str(copied_house),
        **KEY_VARIABLE,
    }


def between(first: datetime, last: datetime, seconds: int, name: str) -> set[str]:
    """The ids of all ticks of a time."""
    timing, found = Every(seconds), set[str]()
    tick = timing.next_after(first)
    while tick is not None and tick <= last:
        found.add(tick_id(name, tick))
        tick = timing.next_after(tick)
    return found


def is_whole(pulses: list[str]) -> bool:
    """Whether no tick is missing between the first and the last."""
    told = [datetime.fromisoformat(job.removeprefix("cron:pulse:")) for job in pulses]
    return set(pulses) == between(min(told) - timedelta(seconds=1), max(told), 1, "pulse")


@pytest.mark.timeout(180)
def test_the_real_command_beside_our_scheduler_doubles_nothing(
    copied_house: Path, environment: dict[str, str], redis_url: str, namespace: str
) -> None:
    store = Topology(lambda: RedisAddress(redis_url), namespace, {}).store()

    def ticks(queue: str) -> list[str]:
        states = (JobState.WAITING, JobState.DELAYED)
        return [job.id for state in states for job in store.list_jobs(queue, state, 500)]

    with ExitStack() as at_end:

        def start(*command: str) -> Running:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=copied_house,
                env=environment,
                stderr=subprocess.PIPE,
                text=True,
            )
            at_end.enter_context(process)
            run = Running(process, process.stderr)
            at_end.callback(run.ended)
            at_end.callback(process.kill)
            return run

        began = datetime.now(UTC)
        ours = start("-m", "scheduling")
        ours.until(lambda: len(ticks("pulse")) > 1, timeout=60)
        seen = len(ticks("pulse"))
        stock = ("-c", "import periodiq; periodiq.entrypoint()", "actors")
        both = [start(*stock), start(*stock)]
        for one in both:
            one.line_with("Scheduling Actor(beat)", timeout=60)  # the tick of the minute that runs
            one.line_with("Scheduling Actor(pulse)", timeout=60)
            one.line_with("* * * * *                actors.beat:beat@beat")
            one.line_with("pulse@pulse")
        ours.until(lambda: len(ticks("pulse")) > seen + 4, timeout=60)
        for one in both:
            one.process.terminate()
            one.ended()
        ours.until(lambda: is_whole(ticks("pulse")), timeout=60)  # none is missing either
        ours.process.terminate()
        assert ours.ended() == 0
    ended = datetime.now(UTC)
    pulses, beats = ticks("pulse"), ticks("beat")
    store.close()

    assert len(pulses) == len(set(pulses))
    assert len(beats) == len(set(beats))
    assert is_whole(pulses)
    assert set() < set(beats) <= between(began - timedelta(minutes=1), ended, 60, "beat")
