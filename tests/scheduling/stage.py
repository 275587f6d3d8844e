"""An application with actors for schedules, jobs in memory, and a clock that the tests move."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import dramatiq

from actors.composition import App
from actors.declare import actor
from database.engine import make_engine
from database.scheduler_lease import SchedulerLease
from jobs.errors import StoreUnavailable
from jobs.marks import PII
from jobs.memory import MemoryStore
from jobs.model import Accepted, FetchRequest, Job, NewJob, Outcome, Verdict
from jobs.schedules import Schedule
from jobs.states import JobState
from jobs.times.cron import Cron
from jobs.times.intervals import Every, Once
from jobs.times.plan import Plan
from scheduling.engine import Engine
from scheduling.leader import Leader
from settings import Settings

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # a Monday
QUEUE = "report"


class Clock:
    """Stands still until it is moved. Called, it is a moment; `ms` is for stores, `steady` for leases."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now
        self._set_by = timedelta()

    def __call__(self) -> datetime:
        return self.now

    def ms(self) -> int:
        return round(self.now.timestamp() * 1000)

    def seconds(self) -> float:
        return self.now.timestamp()

    def steady(self) -> float:
        return self.seconds() - self._set_by.total_seconds()

    def jump(self, **time: float) -> datetime:
        """Somebody sets it; no time passes."""
        self._set_by += timedelta(**time)
        return self.pass_(**time)

    def pass_(self, **time: float) -> datetime:
        self.now += timedelta(**time)
        return self.now

    def set(self, hour: int, minute: int = 0, second: int = 0, day: int = 2) -> datetime:
        self.now = datetime(2026, 3, day, hour, minute, second, tzinfo=UTC)
        return self.now


class Store(MemoryStore):
    """Takes jobs, or is away; counts what it is asked."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock.ms)
        self.away = False
        self.refuses: Callable[[NewJob], Exception | None] = lambda job: None
        self.sent: list[str] = []  # ids, as often as they were handed over
        self.created: list[str] = []

    def enqueue(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        if self.away:
            raise StoreUnavailable("The job store is away.")
        for job in jobs:
            if (error := self.refuses(job)) is not None:
                raise error
        answers = super().enqueue(jobs)
        self.sent += [job.id for job in jobs]
        self.created += [answer.id for answer in answers if answer.created]
        return answers

    def jobs(self, queue: str = QUEUE) -> list[Job]:
        """All that have not run."""
        states = (JobState.WAITING, JobState.DELAYED)
        found = [job for state in states for job in self.list_jobs(queue, state, 100_000)]
        return sorted(found, key=lambda job: job.id)

    def begin(self, queue: str = QUEUE) -> str | None:
        """Start the next job as a worker does; its id."""
        fetched = self.fetch(FetchRequest("worker", str(len(self.sent)) + "f", 1, {queue: 1}, 10**9))
        self._running = fetched.jobs
        return fetched.jobs[0].id if fetched.jobs else None

    def end(self) -> None:
        """The job that was begun is done."""
        self.settle("worker", [Verdict(job.id, job.token, Outcome.COMPLETED) for job in self._running])


class Scheduler:
    """A scheduler without threads: the test says when it looks at the lease, and when it fires."""

    def __init__(self, app: App, clock: Clock, name: str = "a") -> None:
        self.lease = SchedulerLease(app.engine(), clock=clock)
        self._clock = clock
        self.leader = Leader(self.lease, name, clock=clock.steady, wall=clock)
        self.engine = Engine(app, self.leader.sure, self.leader.lost, clock, clock.steady)
        self.changes = 0

    def look(self) -> None:
        self.changes = self.leader.look().changes

    def step(self) -> datetime | None:
        due = self.engine.step(self.leader.token, self.changes)
        while due is not None and due <= self._clock():  # it has more to do than one step may take
            due = self.engine.step(self.leader.token, self.changes)
        return due

    def turn(self) -> datetime | None:
        """What a process does each second."""
        self.look()
        return self.step()


class LockedFile:
    """Another process that writes into the database, and does not end."""

    def __init__(self, url: str) -> None:
        self._engine = make_engine(url)
        self._holder = self._engine.connect()

    def __enter__(self) -> "LockedFile":
        return self

    def __exit__(self, *error: object) -> None:
        self._holder.close()
        self._engine.dispose()

    def begin(self) -> None:
        self._holder.begin()

    def end(self) -> None:
        self._holder.rollback()


@contextmanager
def make_app(home: Path, store: Store, **settings: Any) -> Iterator[App]:
    """An application whose database gives up soon when another one writes."""
    app = App(Settings(home=home, **settings), store)
    app.settings = app.settings.model_copy(update={"schedules": {}})  # none of those that come with it
    app._engine = make_engine(app.settings.database_url, busy_timeout=0.05)
    declare_actors(app)
    yield app
    app._engine.dispose()


def declare_actors(app: App) -> None:
    with _Current(app):

        @actor(queue=QUEUE)
        def report(
            kind: str = "daily", period: datetime | None = None, since: datetime | None = None
        ) -> None:
            """What schedules run here."""

        @actor(queue="letters")
        def letter(to: Annotated[str, PII]) -> None:
            """One with private arguments."""


class _Current:
    def __init__(self, app: App) -> None:
        self._app = app

    def __enter__(self) -> None:
        self._before = dramatiq.get_broker()
        dramatiq.set_broker(self._app.broker)

    def __exit__(self, *error: object) -> None:
        dramatiq.set_broker(self._before)


def schedule(name: str = "nightly", timing: str | int | datetime = "* * * * *", **more: Any) -> Schedule:
    """Every minute, unless a cron, a number of seconds or a moment is given."""
    kind = Cron.parse(timing) if isinstance(timing, str) else None
    if isinstance(timing, datetime):
        plan = Plan(Once(timing))
    elif kind is not None:
        plan = Plan(kind, jitter_s=more.pop("jitter_s", 0), end=more.pop("end", None))
    else:
        plan = Plan(Every(int(timing)))
    return Schedule(name, more.pop("actor", "report"), plan, **more)
