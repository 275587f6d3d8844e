"""What `callboard doctor` says of schedules."""

from datetime import UTC, datetime
from pathlib import Path

from actors.composition import App
from control.service.checks.finding import Finding
from control.service.checks.schedules import schedules
from database.migrations import migrate
from database.scheduler_lease import SchedulerLease
from database.schedules import Schedules
from jobs.memory import MemoryStore
from jobs.schedules import from_document
from scheduling.book import Book
from tests.control.board import small_app

OFF = {"enabled": False}
SHIPPED_OFF = {"maintenance-logs": OFF, "maintenance-locks": OFF}
NIGHTLY = {"actor": "count", "cron": "0 2 * * *", "args": {"upto": 3}}


def board(home: Path, **declared: object) -> App:
    app = small_app(MemoryStore(), home, schedules={**SHIPPED_OFF, **declared})
    migrate(app.engine())
    return app


def findings(app: App) -> dict[str, Finding]:
    try:
        return {one.subject: one for one in schedules(app)}
    finally:
        app.engine().dispose()


def a_scheduler(app: App) -> None:
    lease = SchedulerLease(app.engine())
    lease.take("vm:1")
    lease.seen("vm:1", "vm", 1, datetime.now(UTC), 1)


def test_one_that_is_alive_is_named_with_what_it_fires(tmp_path) -> None:
    app = board(tmp_path, nightly=NIGHTLY)
    for entry in Book(app).entries():
        Schedules(app.engine()).add(entry.row)
    a_scheduler(app)

    found = findings(app)

    assert found["scheduler"].status == "ok"
    assert found["scheduler"].text == "1 alive; vm:1 fires 1 schedule"
    assert found["schedules"].status == "ok"


def test_what_it_has_not_read_yet_is_a_problem(tmp_path) -> None:
    app = board(tmp_path, nightly=NIGHTLY)
    a_scheduler(app)

    found = findings(app)["schedules"]

    assert found.status == "problem"
    assert "nightly: new: restart the scheduler" in found.text


def test_none_alive_is_a_problem_only_when_a_schedule_is_on(tmp_path) -> None:
    assert findings(board(tmp_path, nightly=NIGHTLY))["scheduler"].status == "problem"
    assert findings(board(tmp_path))["scheduler"].status == "note"


def test_one_that_cannot_fire_is_named_with_the_reason(tmp_path) -> None:
    found = findings(board(tmp_path, nightly={**NIGHTLY, "args": {"upto": "three"}}))["schedules"]

    assert found.status == "problem"
    assert found.text.startswith("1 cannot fire: nightly: count cannot take these arguments: upto: ")


def test_one_that_is_declared_no_more_is_named(tmp_path) -> None:
    before = board(tmp_path, nightly=NIGHTLY)
    Book(before).pause("nightly", "ann")  # which is kept
    before.engine().dispose()

    notes = [one for one in schedules(board(tmp_path)) if one.status == "note"]

    assert "declared no more: nightly" in notes[-1].text


def test_a_cron_of_the_settings_that_makes_no_sense_is_told_before_anything_runs(tmp_path) -> None:
    app = small_app(MemoryStore(), tmp_path, schedules={"nightly": {**NIGHTLY, "cron": "0 25 * * *"}})

    found = findings(app)["schedules"]

    assert found.status == "problem"
    assert found.text.startswith("schedules.nightly: hour '25'")


def test_a_runtime_one_counts_too(tmp_path) -> None:
    app = board(tmp_path)
    schedule = from_document({"name": "quick", "actor": "count", "every": "1s", "args": {"upto": 1}})
    Book(app).add(schedule, "ann")

    assert "1 schedule should fire" in findings(app)["scheduler"].text
