"""An actor with a schedule of its own: what can be declared, and what a tick of it becomes."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dramatiq
import periodiq
import pytest

from actors.composition import App
from actors.declare import actor, cron
from broker.periodic import Periodic, code_schedules
from broker.testing import FakeJobs, fake
from jobs.errors import InvalidPayload, InvalidSchedule
from jobs.memory import MemoryStore
from jobs.model import Job
from jobs.schedules import CatchUp, Overlap, Schedule, Source
from settings import QueuePolicy
from tests.fundamentals.stage import make_app

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)  # a Monday


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, home: Path) -> App:
    return make_app(monkeypatch, MemoryStore(), home=home)


@pytest.fixture
def jobs(app: App) -> Iterator[FakeJobs]:
    with fake(app.broker) as jobs:
        yield jobs


def only(app: App) -> Schedule:
    (schedule,) = code_schedules(app.broker)
    return schedule


def sent(jobs: FakeJobs) -> Job:
    (job,) = jobs.queued()
    return job


@pytest.mark.parametrize(
    "periodic",
    [periodiq.cron("0 9 * * 1-5"), "0 9 * * 1-5", cron("0  9 * * 1-5")],
    ids=["periodiq's cron", "text", "our cron"],
)
def test_a_cron_in_code_is_a_schedule_of_the_actors_name_in_utc(app: App, periodic: Any) -> None:
    @actor(periodic=periodic)
    def daily_report() -> None: ...

    schedule = only(app)
    assert (schedule.name, schedule.actor, schedule.source) == ("daily_report", "daily_report", Source.CODE)
    assert schedule.plan.timing.text == "0 9 * * 1-5"
    assert schedule.plan.next_after(datetime(2026, 3, 6, 12, tzinfo=UTC)) == datetime(
        2026, 3, 9, 9, tzinfo=UTC
    )
    assert (schedule.catch_up, schedule.overlap, schedule.enabled) == (CatchUp.LAST, Overlap.ALLOW, True)


def test_the_table_beside_it_takes_the_words_of_the_settings(app: App) -> None:
    @actor(
        periodic=cron("30 6 L * *", "Europe/Berlin"),
        schedule={
            "exclude": {"dates": ["2026-12-31"]},
            "args": {"region": "eu", "day": "{tick}"},
            "tenant_id": "acme",
            "priority": 2,
            "timeout": "2min",
            "catch_up": "all",
            "overlap": "skip",
        },
    )
    def rent_run(region: str, day: datetime) -> None: ...

    schedule = only(app)
    assert schedule.plan.zone == "Europe/Berlin"
    assert schedule.plan.next_after(datetime(2026, 12, 1, tzinfo=UTC)) == datetime(
        2027, 1, 31, 5, 30, tzinfo=UTC
    )
    assert (schedule.catch_up, schedule.overlap) == (CatchUp.ALL, Overlap.SKIP)
    assert dict(schedule.options) == {"tenant_id": "acme", "priority": 2, "time_limit": 120_000}


def test_an_interval_or_a_single_time_needs_no_cron(app: App) -> None:
    @actor(schedule={"every": "90s"})
    def beat() -> None: ...

    @actor(schedule={"at": "2030-01-01T00:00:00Z"})
    def once() -> None: ...

    first, second = code_schedules(app.broker)
    assert first.plan.next_after(NINE) == datetime(2026, 3, 2, 9, 1, 30, tzinfo=UTC)
    assert second.plan.next_after(NINE) == datetime(2030, 1, 1, tzinfo=UTC)


def test_a_spec_that_periodiq_made_of_lists_means_what_they_say(app: App) -> None:
    every = list(range(1, 32))
    spec = periodiq.CronSpec(m=[0, 30, 59], h=[9], dom=every, month=[1, 2], dow=[0, 7])

    @actor(periodic=spec)
    def winter() -> None: ...

    assert only(app).plan.timing.text == "0,30,59 9 * 1,2 0,7"


def test_actors_without_one_are_none(app: App) -> None:
    @actor
    def plain() -> None: ...

    assert code_schedules(app.broker) == []
    assert "periodic" not in plain.options, "stock periodiq goes by this"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"periodic": "0 9 * *"}, "The schedule of actor rent_run cannot be used: cron '0 9 * *'"),
        ({"periodic": "0 0 30 2 *"}, "The schedule of actor rent_run cannot be used: cron '0 0 30 2 *'"),
        ({"periodic": 5}, 'periodic= must be a cron such as cron("0 9 * * 1-5")'),
        (
            {"periodic": "@daily", "schedule": {"every": "5s"}},
            "periodic= and schedule= with 'every' both say when",
        ),
        ({"schedule": {"timezone": "UTC"}}, "exactly one of cron, every and at"),
        ({"schedule": "UTC"}, "schedule= must be a table"),
        ({"periodic": "@daily", "schedule": {"timezone": "Mars"}}, "timezone 'Mars'"),
        ({"periodic": "@daily", "schedule": {"name": "x"}}, "schedule= must not have 'name'"),
        ({"periodic": "@daily", "schedule": {"timezon": "UTC"}}, "timezon"),
        ({"periodic": "@daily", "schedule": {"overlap": "wait"}}, "overlap"),
        ({"periodic": "@daily", "schedule": {"priority": 11}}, "priority"),
        ({"periodic": "@daily", "schedule": {"args": {"share": "half"}}}, "share"),
        ({"periodic": "@daily", "schedule": {"args": {"region": "eu"}}}, "region"),
        ({"periodic": "@daily", "schedule": {"args": {"share": "{tik}"}}}, "{tik}"),
        ({"periodic": "@daily", "tenant_id": 5}, "tenant_id"),
        (
            {"periodic": "@daily", "schedule": {"exclude": {"windows": [{"from": "00:00", "to": "12:00"}]}}},
            "it never fires",
        ),
    ],
)
def test_a_schedule_that_could_not_run_is_refused_with_the_actors_name(
    app: App, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidSchedule) as refused:

        @actor(**options)
        def rent_run(share: int = 1) -> None: ...

    assert str(refused.value).startswith("The schedule of actor rent_run cannot be used: ")
    assert said in str(refused.value)


def test_an_argument_that_no_tick_would_give_is_missed_at_once(app: App) -> None:
    with pytest.raises(InvalidSchedule, match=r"rent_run cannot be used: .*region"):

        @actor(periodic="@daily")
        def rent_run(region: str) -> None: ...


def test_a_queue_that_takes_only_jobs_of_tenants_wants_one(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    queues = {"rent-run": QueuePolicy(require_tenant=True)}
    make_app(monkeypatch, MemoryStore(), home=home, queues=queues)

    with pytest.raises(InvalidSchedule, match="takes only jobs of a tenant: give tenant_id"):

        @actor(periodic="@daily")
        def rent_run() -> None: ...

    @actor(queue="rent-run", periodic="@daily", schedule={"tenant_id": "acme"})
    def rent_run_of_acme() -> None: ...


def test_dramatiqs_own_decorator_is_refused_because_its_actors_know_no_ticks(app: App) -> None:
    with pytest.raises(InvalidSchedule, match=r"from actors\.declare import actor"):
        dramatiq.actor(periodic=periodiq.cron("@daily"), broker=app.broker)(lambda: None)


# A tick


def test_what_periodiq_sends_is_the_job_of_the_tick(app: App, jobs: FakeJobs) -> None:
    @actor(
        periodic="0 9 * * *",
        schedule={
            "args": {"day": "{tick}", "since": "{previous_tick}"},
            "tenant_id": "acme",
            "priority": 2,
            "overlap": "skip",
        },
    )
    def daily_report(day: datetime, since: datetime) -> None: ...

    message = daily_report.send_with_options(scheduled_at="2026-03-02 10:00:00+01:00")

    assert message.message_id == "acme~cron:daily_report:2026-03-02T09:00:00Z"
    assert message.kwargs == {"day": "2026-03-02T09:00:00Z", "since": "2026-03-01T09:00:00Z"}
    assert "scheduled_at" not in message.options, "PeriodiqMiddleware drops retries by it"
    assert (message.options["run_at"], message.options["priority"]) == (round(NINE.timestamp() * 1000), 2)
    job = sent(jobs)
    assert (job.id, job.lane, job.priority) == (message.message_id, "acme", 2)


def test_it_is_one_job_however_often_and_late_in_the_minute_it_is_sent(app: App, jobs: FakeJobs) -> None:
    @actor(periodic="* * * * *")
    def beat() -> None: ...

    first = beat.send_with_options(scheduled_at="2026-03-02T09:00:00+00:00")
    again = beat.send_with_options(scheduled_at="2026-03-02T09:00:59+00:00")
    assert (first.created, again.created) == (True, False)
    assert sent(jobs).id == "cron:beat:2026-03-02T09:00:00Z"


def test_jitter_moves_the_start_and_not_the_id(app: App, jobs: FakeJobs) -> None:
    @actor(periodic="* * * * *", schedule={"jitter": "10min"})
    def beat() -> None: ...

    message = beat.send_with_options(scheduled_at=NINE.isoformat())
    assert message.message_id == "cron:beat:2026-03-02T09:00:00Z"
    due = only(app).plan.due("beat", NINE)
    assert message.options["run_at"] == round(due.timestamp() * 1000) != round(NINE.timestamp() * 1000)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scheduled_at": "2026-03-02T09:01:00+00:00"}, "is no tick of the schedule of daily_report"),
        ({"scheduled_at": "2026-03-02T09:00:00"}, "must be a time with its zone"),
        ({"scheduled_at": "nine"}, "must be a time with its zone"),
        ({"scheduled_at": "2026-03-02T09:00:00+00:00", "priority": 1}, "priority cannot be given with"),
        ({"scheduled_at": "2026-03-02T09:00:00+00:00", "args": (1,)}, "scheduled_at stands alone"),
        ({"scheduled_at": "2026-03-02T09:00:00+00:00", "delay": 5}, "scheduled_at stands alone"),
        ({"periodic": "@daily"}, "there is no option 'periodic'"),
        ({"schedule": {}}, "there is no option 'schedule'"),
    ],
)
def test_what_is_no_tick_is_refused(app: App, jobs: FakeJobs, options: dict[str, Any], said: str) -> None:
    @actor(periodic="0 9 * * *")
    def daily_report() -> None: ...

    with pytest.raises(InvalidPayload, match=said):
        daily_report.send_with_options(**options)
    assert jobs.queued() == []


def test_an_actor_without_a_schedule_has_no_ticks(app: App, jobs: FakeJobs) -> None:
    @actor
    def plain() -> None: ...

    with pytest.raises(InvalidPayload, match="plain, which has no schedule"):
        plain.send_with_options(scheduled_at=NINE.isoformat())


def test_it_can_be_sent_by_hand_as_any_actor(app: App, jobs: FakeJobs) -> None:
    @actor(periodic="0 9 * * *", schedule={"args": {"region": "eu"}})
    def daily_report(region: str) -> None: ...

    daily_report.send("us")
    assert not sent(jobs).id.startswith("cron:")


def test_the_spec_says_what_it_is(app: App) -> None:
    @actor(periodic="0 9 * * *")
    def daily_report() -> None: ...

    spec = daily_report.options["periodic"]
    assert isinstance(spec, Periodic)
    assert (str(spec), repr(spec)) == ("0 9 * * *", "<Periodic 0 9 * * *>")
