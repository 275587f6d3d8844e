"""What operators do is written down before it is done, and how it ended after it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from actors.composition import App
from control.service import AuditReports, DeadLetters, JobActions, KeptRules, QueueActions, RuleActions
from control.service.audit_views import ActionView
from control.service.requests import DeadLetterFilter, DrainRequest, QueueChanges, RetryRequest
from database.engine import make_engine
from database.errors import DatabaseUnavailable
from jobs.errors import StoreUnavailable
from jobs.model import NewJob, Outcome
from jobs.states import JobState
from tests.control.board import work

QUEUE = "email-sync"


@pytest.fixture
def put(store) -> Callable[..., None]:
    def enqueue(*ids: str, **options) -> None:
        store.enqueue([NewJob(job_id, QUEUE, "email_sync", b"", **options) for job_id in ids])

    return enqueue


@pytest.fixture
def acts(ruled: App) -> Callable[[], list[ActionView]]:
    """What the audit tells, newest first."""
    return lambda: AuditReports(ruled, "test").actions()


@pytest.fixture
def away(ruled: App, tmp_path: Path):
    """The database is locked by somebody else, and nobody waits long for it."""
    url = ruled.settings.database_url
    other, ruled._engine = make_engine(url), make_engine(url, busy_timeout=0.05)
    holder = other.connect()
    holder.begin()
    yield holder
    holder.close()
    other.dispose()


def test_an_act_is_told_with_who_did_what_to_whom(ruled, put, acts):
    put("acme~j1", lane="acme")

    JobActions(ruled, "ada@host").cancel(["acme~j1"], "sent twice")

    (act,) = acts()
    assert (act.operator, act.action, act.target, act.tenant_id) == (
        "ada@host",
        "job.cancel",
        "acme~j1",
        "acme",
    )
    assert (act.reason, act.count, act.failed, act.parameters) == (
        "sent twice",
        1,
        False,
        {"jobs": ["acme~j1"]},
    )
    assert act.ended_at is not None


def test_every_verb_leaves_an_act_with_its_count(ruled, put, store, acts):
    jobs, queues, rules = JobActions(ruled, "ada"), QueueActions(ruled, "ada"), RuleActions(ruled, "ada")
    put("a", "b", "c")
    work(store, QUEUE, Outcome.FAILED)

    jobs.set_priority(["b", "c", "gone"], 1)
    queues.drain(QUEUE, DrainRequest(limit=10))
    list(DeadLetters(ruled, "ada").retry(DeadLetterFilter(queue=QUEUE), 2**50))
    rules.pause(QUEUE, "acme")
    rules.change_queue(QUEUE, QueueChanges(cap=3))
    store.adjust(next(iter(store.adjustments())), {"cap": 5})
    KeptRules(ruled, "ada").restore()
    AuditReports(ruled, "ada").clean()

    assert [(act.action, act.target, act.tenant_id, act.count) for act in reversed(acts())] == [
        ("job.priority", None, None, 2),
        ("queue.drain", QUEUE, None, 2),
        ("jobs.retry", QUEUE, None, 1),
        ("pause", QUEUE, "acme", 1),
        ("queue.limits", QUEUE, None, 1),
        ("rules.restore", None, None, 1),
        ("audit.clean", None, None, None),
    ]


def test_what_is_only_counted_is_no_act(ruled, put, store, acts):
    put("a")
    work(store, QUEUE, Outcome.FAILED)

    DeadLetters(ruled, "ada").retry_page(RetryRequest(dry_run=True))

    assert acts() == []


def test_an_act_that_cannot_be_written_down_is_not_done(ruled, put, store, away):
    put("a")

    with pytest.raises(DatabaseUnavailable):
        JobActions(ruled, "ada").cancel(["a"])
    with pytest.raises(DatabaseUnavailable):
        QueueActions(ruled, "ada").drain(QUEUE, DrainRequest())

    assert store.get("a").state is JobState.WAITING


def test_a_run_that_is_stopped_tells_how_far_it_came(ruled, put, acts, monkeypatch):
    monkeypatch.setattr("control.service.queue_actions.CHUNK", 1)
    put("a", "b", "c")

    run = QueueActions(ruled, "ada").drain_all(QUEUE)
    next(run)
    next(run)
    assert acts()[0].ended_at is None  # it is done still
    run.close()

    (act,) = acts()
    assert (act.count, act.result, act.failed) == (2, "stopped", False)


def test_an_act_that_fails_says_why(ruled, put, store, acts, monkeypatch):
    def refuse(*_: object) -> list[bool]:
        raise StoreUnavailable("Redis went away.")

    put("a")
    monkeypatch.setattr(store, "promote", refuse)

    with pytest.raises(StoreUnavailable):
        JobActions(ruled, "ada").promote(["a"])

    (act,) = acts()
    assert (act.failed, act.result) == (True, "Redis went away.")


def test_a_foreign_error_is_told_by_its_kind_alone(ruled, put, store, acts, monkeypatch):
    def break_down(*_: object) -> list[bool]:
        raise KeyError("a secret")

    put("a")
    monkeypatch.setattr(store, "promote", break_down)

    with pytest.raises(KeyError):
        JobActions(ruled, "ada").promote(["a"])

    assert acts()[0].result == "KeyError"


def test_an_act_stands_when_the_database_goes_away_while_it_is_done(
    ruled, put, store, acts, monkeypatch, caplog
):
    put("a", delay_ms=60_000)
    url, promote = ruled.settings.database_url, store.promote
    ruled._engine = make_engine(url, busy_timeout=0.05)
    other = make_engine(url)
    with other.connect() as holder:

        def and_lock(ids):
            holder.begin()
            return promote(ids)

        monkeypatch.setattr(store, "promote", and_lock)
        (answer,) = JobActions(ruled, "ada").promote(["a"])
        holder.rollback()
    other.dispose()

    assert answer.done
    assert acts()[0].ended_at is None
    assert "how it ended is not in the audit" in caplog.text


def test_the_first_verb_makes_the_tables_of_a_file(app: App, put, store):
    put("a")

    JobActions(app, "ada").cancel(["a"])

    assert [act.action for act in AuditReports(app, "ada").actions()] == ["job.cancel"]
    app.engine().dispose()
