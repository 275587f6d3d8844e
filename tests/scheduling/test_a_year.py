"""A year under a moved clock: leaders are killed and frozen at every step, and each tick has one job."""

import itertools
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import event

from actors.composition import App
from database.schedule_history import ScheduleHistory
from database.scheduler_lease import SchedulerLease
from database.schedules import Schedules
from jobs.model import Accepted, FetchRequest, NewJob, Outcome, Verdict
from jobs.schedules import CatchUp, Schedule, tick_id
from jobs.times.cron import Cron
from jobs.times.intervals import Every, Once
from jobs.times.plan import Plan
from scheduling import rounds
from scheduling.book import Book
from tests.scheduling.stage import QUEUE, START, Clock, Scheduler, Store, make_app

END = START + timedelta(days=365)
BERLIN = "Europe/Berlin"
PLANS = {
    "morning": Plan(Cron.parse("0 9 * * 1-5", BERLIN)),
    "night": Plan(
        Cron.parse("30 2 * * *", BERLIN)
    ),  # is swallowed by the spring gap, and comes twice in autumn
    "monthly": Plan(Cron.parse("0 0 L * *")),
    "quarters": Plan(Cron.parse("0 */12 * * *")),
    "spread": Plan(Cron.parse("15 4 * * *", "America/New_York"), jitter_s=5 * 3600),
    "often": Plan(Every(29 * 3600)),
    "christmas": Plan(Once(START + timedelta(days=298))),
    "spring": Plan(Every(11 * 3600), start=START + timedelta(days=20), end=START + timedelta(days=90)),
}
SEED = 20_261_122
STEPS = ("read", "enqueued", "advanced", "released")


class Killed(BaseException):
    """The process is no more."""


class Fate:
    """Says at each step whether the leader dies, or stands still there while others go on."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.deaths = dict.fromkeys(STEPS, 0)
        self.freezes = 0
        self.meanwhile: Any = lambda: None
        self.frozen = False

    def reached(self, step: str) -> None:
        if self.frozen:
            return  # it is the other one that comes by
        if self.dice.random() < 0.04:
            self.deaths[step] += 1
            raise Killed
        if step in ("read", "enqueued") and self.dice.random() < 0.03:
            self.freezes += 1
            self.frozen = True
            self.meanwhile()
            self.frozen = False


class FatefulStore(Store):
    """Forgets jobs as soon as they are done, so that only what is remembered of ids keeps them apart."""

    def __init__(self, clock: Clock, fate: Fate) -> None:
        super().__init__(clock)
        self._fate = fate
        self._fetches = itertools.count()

    def enqueue(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        self._fate.reached("read")
        answers = super().enqueue(jobs)
        self._fate.reached("enqueued")
        return answers

    def work(self) -> None:
        """Run what may run."""
        while jobs := self.fetch(
            FetchRequest("worker", str(next(self._fetches)), 500, {QUEUE: 500}, 10**12)
        ).jobs:
            self.settle(
                "worker", [Verdict(job.id, job.token, Outcome.COMPLETED, remove=True) for job in jobs]
            )


class Life:
    """Schedulers one after the other, until the year is over."""

    def __init__(
        self, app: App, clock: Clock, store: FatefulStore, fate: Fate, few: Callable[[int], None]
    ) -> None:
        self._few = few
        self._app = app
        self._clock = clock
        self._store = store
        self._fate = fate
        self._names = (f"scheduler-{number}" for number in itertools.count())
        self._scheduler = self._new()
        fate.meanwhile = self._others_go_on

    def run(self) -> None:
        while self._clock() < END:
            try:
                self._scheduler.turn()
                self._fate.reached("advanced")
                if self._fate.dice.random() < 0.1:
                    self._scheduler.leader.release()
                    self._scheduler = self._new()
                    self._fate.reached("released")
            except Killed:
                self._downtime()
                self._scheduler = self._new()
            self._store.work()
            self._on()
        self._last_ones()

    def _on(self) -> None:
        """To the next tick, or past it: nobody is on time."""
        after = self._clock() + timedelta(seconds=1)
        due = min((plan.next_after(after) or END for plan in PLANS.values()), default=END)
        self._clock.now = max(after, due) + timedelta(seconds=self._fate.dice.choice((-1, 0, 0, 3, 40)))

    def _downtime(self) -> None:
        self._clock.pass_(seconds=self._fate.dice.choice((8, 8, 30, 300, 7_200, 100_000)))

    def _others_go_on(self) -> None:
        """The leader is frozen for longer than its lease: another fires, and the frozen one comes after."""
        self._clock.pass_(seconds=self._fate.dice.choice((7, 60, 5_000)))
        other = self._new()
        other.turn()
        self._store.work()
        if self._fate.dice.random() < 0.5:
            other.leader.release()

    def _last_ones(self) -> None:
        self._fate.frozen = True  # nothing happens to the last one
        self._clock.now = max(self._clock(), END) + timedelta(hours=6)
        self._new().turn()

    def _new(self) -> Scheduler:
        self._few(self._fate.dice.choice((0, rounds.FEW or 200)))  # what is late then waits for what is not
        return Scheduler(self._app, self._clock, next(self._names))


def _without_syncing(connection: Any, entry: object) -> None:
    """The file need not outlive the host."""
    connection.execute("PRAGMA synchronous=OFF")


def expected() -> set[str]:
    found = {name: plan.between(START, END, 100_000) for name, plan in PLANS.items()}
    return {tick_id(name, tick) for name, ticks in found.items() for tick in ticks}


@pytest.mark.timeout(300)
def test_every_tick_of_a_year_has_exactly_one_job(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, fate = Clock(), Fate(SEED)
    store = FatefulStore(clock, fate)
    with make_app(home, store) as app:
        event.listen(app.engine(), "connect", _without_syncing)
        for name, plan in PLANS.items():
            catching_up = {"catch_up": CatchUp.ALL, "catch_up_window_s": 6 * 86_400, "catch_up_max": 10_000}
            Book(app, clock).add(Schedule(name, "report", plan, **cast(Any, catching_up)), "ada")
        Life(app, clock, store, fate, lambda few: monkeypatch.setattr(rounds, "FEW", few)).run()

        made = [job for job in store.created if _tick_of(job) <= END]
        assert len(made) == len(set(made)), "a tick has two jobs"
        assert set(made) == expected()
        rows = [row for name in PLANS for row in ScheduleHistory(app.engine()).of(name, 100_000)]
        told = [(row.outcome, row.job_id) for row in rows if row.tick <= END]
        assert sorted(told) == sorted(("enqueued", job) for job in made)
        assert all(row.cursor >= START for row in Schedules(app.engine()).all())
        assert min(fate.deaths.values()) > 0
        assert fate.freezes > 10
        assert SchedulerLease(app.engine(), clock=clock).standing().token > 50


def _tick_of(job_id: str) -> datetime:
    return datetime.fromisoformat(job_id.split(":", 2)[2])
