"""The house's own upkeep: what is too old goes, what is not stays, and a second run has nothing to do."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

import actors.maintenance
from actors.composition import App
from actors.email import email_sync
from actors.maintenance import (
    maintenance_cache,
    maintenance_database,
    maintenance_locks,
    maintenance_logs,
)
from broker.actor import CallboardActor
from broker.result_cache import prefix_of
from broker.testing import FakeJobs
from control.service.audit_reports import AuditReports
from database.audit import AuditWriter
from database.deliveries import Deliveries, Delivery
from database.engine import read_session, write_session
from database.mailboxes import Mailboxes
from database.models import JobExecution, ScheduleTick, SyncRun, WebhookDelivery
from database.operator_actions import OperatorActions
from database.schedule_history import KEPT_DAYS
from jobs.errors import JobCancelled
from jobs.model import CacheEntry, FetchRequest, Job, NewJob, Outcome, Verdict, WorkerInfo
from jobs.states import JobState
from tests.actors.conftest import SetUp, from_json
from tests.database.events import an_event

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def run(actor: CallboardActor[..., Any], jobs: FakeJobs) -> Job:
    """Send one job and run what there is; the job as it is then."""
    sent = actor.send()
    jobs.run_all()
    job = jobs.store.get(sent.message_id)
    assert job is not None
    return job


def result(job: Job) -> dict[str, int]:
    assert job.state is JobState.COMPLETED, job.record
    return dict(from_json(job.record)["result"])


def count(app: App, model: Any) -> int:
    with read_session(app.engine()) as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


@pytest.fixture
def short(set_up: SetUp, jobs: FakeJobs) -> App:
    """Rows of the audit are kept for a minute, and blobs of no job not at all."""
    return set_up(audit={"retention": "1min", "operators_retention": "1min"}, blobs={"young_ms": 0})


def fill(app: App) -> None:
    """Each history has one row that is too old, and one of now."""
    now = datetime.now(UTC)
    writer = AuditWriter(app.engine(), app.chain_keys())
    for number, moment in enumerate((LONG_AGO, now)):
        writer.write([an_event(job_id=f"job-{number}")])
        if moment is LONG_AGO:
            age(app, JobExecution.recorded_at, moment)
        Deliveries(app.engine()).record_attempt(Delivery("w", "e", f"d-{number}", 1, "delivered", 5, moment))
        Mailboxes(app.engine()).start_sync(f"s-{number}", "ada", "inbox")
        if moment is LONG_AGO:
            age(app, SyncRun.started_at, moment)
    with write_session(app.engine()) as session:
        for tick in (now - timedelta(days=KEPT_DAYS + 1), now):
            session.add(
                ScheduleTick(
                    schedule="s", kind="tick", tick=tick, due=tick, outcome="enqueued", job_id="j",
                    fired_at=tick, late_ms=0, count=1, note="", by="",
                )
            )  # fmt: skip


def age(app: App, column: Any, moment: datetime) -> None:
    """Make what is in a table look as if it was written then."""
    with write_session(app.engine()) as session:
        session.execute(update(column.class_).values({column.key: moment}))
        if column.class_ is JobExecution:
            session.execute(text("UPDATE audit_batches SET recorded_at = '2020-01-01T00:00:00.000000'"))


def test_rows_that_are_too_old_go_and_the_others_stay(short: App, jobs: FakeJobs) -> None:
    fill(short)
    short.blobs().put("b" * 64, "no-such-job", b"0123456789")

    assert result(run(maintenance_logs, jobs)) == {
        "attempts": 1,
        "actions": 0,
        "deliveries": 1,
        "syncs": 1,
        "ticks": 1,
        "jobs": 0,
        "blobs": 1,
    }
    assert [count(short, one) for one in (JobExecution, WebhookDelivery, SyncRun, ScheduleTick)] == [
        1,
        1,
        1,
        1,
    ]
    assert set(result(run(maintenance_logs, jobs)).values()) == {0}, "a second run has nothing to do"


def test_what_it_removes_of_the_audit_is_an_act_in_the_chain_which_still_holds(
    short: App, jobs: FakeJobs
) -> None:
    fill(short)
    run(maintenance_logs, jobs)

    (act,) = OperatorActions(short.engine()).read()
    assert (act.operator, act.action, act.count, act.failed) == ("schedule", "audit.clean", 1, False)
    assert [one.broken for one in AuditReports(short, "ada").verify()] == [None, None]


def test_settled_jobs_past_their_queues_age_go_in_every_queue(house: App, jobs: FakeJobs) -> None:
    email_sync.send("ada", "no-such-mailbox")
    jobs.run_all()
    (failed,) = jobs.store.list_jobs("email-sync", JobState.FAILED)
    jobs.advance(8 * 86_400)  # failed ones stay for a week, until their audit row is stored
    jobs.store.keep_readers(())
    assert result(run(maintenance_logs, jobs))["jobs"] == 1
    assert jobs.store.get(failed.id) is None


def test_between_two_chunks_it_can_be_cancelled_and_the_act_says_so(
    short: App, jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(short)

    def cancelled_now() -> None:
        raise JobCancelled("enough")

    monkeypatch.setattr(actors.maintenance, "check_cancelled", cancelled_now)
    job = run(maintenance_logs, jobs)

    assert job.state is JobState.CANCELLED
    assert count(short, JobExecution) == 1, "the chunk that was removed stays removed"
    assert count(short, WebhookDelivery) == 2, "and what comes after was not begun"
    (act,) = OperatorActions(short.engine()).read()
    assert (act.result, act.failed, act.count) == ("stopped", False, 1)


def test_a_second_attempt_goes_on_where_the_first_ended(
    short: App, jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(short)
    stages = dict(actors.maintenance.STAGES)
    fails = [True]

    def ticks() -> dict[str, int]:
        if fails:
            fails.clear()
            raise ConnectionError("away")
        return stages["ticks"]()

    monkeypatch.setitem(actors.maintenance.STAGES, "ticks", ticks)
    sent = maintenance_logs.send()
    jobs.run_all()
    jobs.advance(60)
    jobs.run_all()
    job = jobs.store.get(sent.message_id)
    assert job is not None
    assert result(job)["attempts"] == 1, "the count is that of the first attempt, kept as a step"
    assert len(OperatorActions(short.engine()).read()) == 1, "and its act is not done again"


def test_jobs_of_a_dead_worker_come_back_from_every_shard(house: App, jobs: FakeJobs) -> None:
    sent = email_sync.send("ada", "inbox")
    jobs.store.register(WorkerInfo("dead", "h", 1, "1", 1, ("email-sync",), 0), 15_000)
    (held,) = jobs.store.fetch(FetchRequest("dead", "r", 1, {"email-sync": 1})).jobs
    assert held.id == sent.message_id

    assert result(run(maintenance_locks, jobs)) == {"reclaimed": 0}, "its lease still runs"
    for _ in range(3):  # a store that nobody spoke to for long gives its workers a moment first
        jobs.advance(9)
        found = result(run(maintenance_locks, jobs))
        if found["reclaimed"]:
            break
    assert found == {"reclaimed": 1}
    assert jobs.store.get(sent.message_id).state is not JobState.ACTIVE  # type: ignore[union-attr]


def test_the_database_gets_figures_for_its_planner_and_gives_back_room(
    house: App, jobs: FakeJobs, home: Path
) -> None:
    with write_session(house.engine()) as session:
        session.execute(text("CREATE TABLE waste (x)"))
        session.execute(text("INSERT INTO waste VALUES (zeroblob(3000000))"))
    with write_session(house.engine()) as session:
        session.execute(text("DROP TABLE waste"))

    done = result(run(maintenance_database, jobs))
    assert done["freed"] > 2_900_000
    assert (home / "callboard.db").stat().st_size == done["bytes"]
    with read_session(house.engine()) as session:
        assert session.execute(text("SELECT count(*) FROM sqlite_stat1")).scalar_one() > 0
    assert result(run(maintenance_database, jobs))["freed"] == 0


def cached(house: App, name: str, tenant: str = "") -> None:
    """A job of an actor whose result answers for later ones."""
    key = f"{prefix_of(name, tenant)}1"
    job = NewJob(f"{name}-{tenant}", "email-sync", name, b"{}")
    house.store.enqueue([job])
    (taken,) = house.store.fetch(FetchRequest("w", job.id, 1, {"email-sync": 1})).jobs
    house.store.settle(
        "w", [Verdict(taken.id, taken.token, Outcome.COMPLETED, cache=CacheEntry(key, b"1", 60_000))]
    )
    assert house.store.cached("email-sync", key) == b"1"


def test_cached_results_are_forgotten_of_one_actor_or_of_all(house: App, jobs: FakeJobs) -> None:
    for tenant in ("", "acme"):
        cached(house, "email_sync", tenant)
        cached(house, "email_send", tenant)

    sent = maintenance_cache.send(actor="email_sync")
    jobs.run_all()
    assert result(jobs.store.get(sent.message_id)) == {"cleared": 2}  # type: ignore[arg-type]
    assert house.store.cached("email-sync", f"{prefix_of('email_send', 'acme')}1") == b"1"
    assert result(run(maintenance_cache, jobs)) == {"cleared": 2}
    assert result(run(maintenance_cache, jobs)) == {"cleared": 0}


def test_the_cache_of_an_actor_that_there_is_not_is_a_mistake(house: App, jobs: FakeJobs) -> None:
    sent = maintenance_cache.send(actor="email_snyc")
    jobs.run_all()
    job = jobs.store.get(sent.message_id)
    assert job is not None
    assert job.state is not JobState.COMPLETED
    assert b"There is no actor named" in (job.record or b"")


def test_each_says_how_far_it_is(house: App, jobs: FakeJobs) -> None:
    job = run(maintenance_logs, jobs)
    assert from_json(job.progress)["percent"] == 100.0
    assert from_json(job.progress)["message"].endswith("removed")


def test_they_are_in_the_queues_of_the_catalogue_and_of_the_group_scheduled(house: App) -> None:
    for actor in (maintenance_logs, maintenance_locks, maintenance_database, maintenance_cache):
        assert actor.queue_name == actor.actor_name.replace("_", "-")
        assert house.settings.policy(actor.queue_name).group == "scheduled"
        assert actor.actor_name in {one.actor for one in house.settings.schedules.values()}
    on = {one.actor for one in house.settings.schedules.values() if one.enabled}
    assert on == {"maintenance_logs", "maintenance_locks"}
