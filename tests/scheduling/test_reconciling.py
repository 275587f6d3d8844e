"""Declared schedules and rows: what is new, changed, gone and back, and what does not fit any more."""

import logging
from datetime import timedelta

import pytest

from actors.composition import App
from database.schedule_history import ScheduleHistory
from database.schedules import Schedules
from jobs.schedules import CatchUp, Schedule, Source, tick_id
from scheduling.book import Book
from settings import ScheduleSettings
from tests.scheduling.stage import START, Clock, Scheduler, Store, schedule

MINUTE = timedelta(minutes=1)


def declare(app: App, one: Schedule | None) -> None:
    """In code, as `@actor(periodic=…)` does."""
    options = app.broker.actors["report"].options
    options.pop("schedule", None)
    if one is not None:
        options["schedule"] = one


def coded(timing: str = "* * * * *", **more: object) -> Schedule:
    return schedule("coded", timing, source=Source.CODE, catch_up=CatchUp.ALL, **more)


def lead(app: App, clock: Clock, name: str) -> Scheduler:
    """A scheduler that starts now; the others are gone."""
    scheduler = Scheduler(app, clock, name)
    before = scheduler.lease.standing()
    scheduler.lease.release(before.token)
    scheduler.turn()
    return scheduler


def test_a_declared_schedule_fires_from_when_it_is_seen_first(
    app: App, clock: Clock, store: Store, book: Book, rows: Schedules
) -> None:
    declare(app, coded())
    assert book.entry("coded").state == "active"  # also before
    scheduler = lead(app, clock, "a")
    assert store.sent == []
    clock.pass_(minutes=1)
    scheduler.turn()
    assert store.sent == [tick_id("coded", START + MINUTE)]
    row = rows.get("coded")
    assert row is not None
    assert (row.source, row.created_by, row.document) == ("code", "code", None)


def test_a_restart_goes_on_where_it_was(app: App, clock: Clock, store: Store) -> None:
    declare(app, coded())
    lead(app, clock, "a")
    clock.pass_(minutes=3)
    lead(app, clock, "b")
    assert len(store.sent) == 3


def test_with_another_timing_it_begins_anew_and_else_it_goes_on(
    app: App, clock: Clock, store: Store, rows: Schedules
) -> None:
    declare(app, coded())
    lead(app, clock, "a")
    clock.pass_(minutes=3)
    declare(app, coded("*/2 * * * *"))
    lead(app, clock, "b")
    assert store.sent == []
    clock.pass_(minutes=3)
    declare(app, coded("*/2 * * * *", args={"kind": "new"}))
    lead(app, clock, "c")
    assert store.sent == [tick_id("coded", START + 4 * MINUTE), tick_id("coded", START + 6 * MINUTE)]
    assert all(b"new" in job.payload for job in store.jobs())


def test_one_that_is_gone_is_kept_and_said_but_not_fired(
    app: App, clock: Clock, store: Store, book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    declare(app, coded())
    lead(app, clock, "a")
    declare(app, None)
    clock.pass_(minutes=3)
    lead(app, clock, "b")
    assert "coded: It is not declared any more" in caplog.text
    entry = book.entry("coded")
    assert (entry.state, entry.schedule, store.sent) == ("gone", None, [])
    book.delete("coded", "ada")
    assert book.entries() == []


def test_one_that_comes_back_after_long_begins_then(
    app: App, clock: Clock, store: Store, book: Book, history: ScheduleHistory
) -> None:
    declare(app, coded())
    lead(app, clock, "a")
    declare(app, None)
    lead(app, clock, "b")
    clock.pass_(minutes=62)
    declare(app, coded())
    scheduler = lead(app, clock, "c")
    assert (store.sent, book.entry("coded").state) == ([], "active")
    ((count, note),) = [(row.count, row.note) for row in history.of("coded")]
    assert (count, note) == (20, "while it was not declared; 20 or more")
    clock.pass_(minutes=1)
    scheduler.turn()
    assert store.sent == [tick_id("coded", START + 63 * MINUTE)]


def test_one_that_a_standby_of_another_release_does_not_know_goes_on_after_it(
    app: App, clock: Clock, store: Store, history: ScheduleHistory
) -> None:
    declare(app, coded())
    lead(app, clock, "new release")
    declare(app, None)
    lead(app, clock, "old release")
    clock.pass_(minutes=10)
    declare(app, coded())
    lead(app, clock, "new release again")
    assert store.sent == [tick_id("coded", START + n * MINUTE) for n in range(1, 11)]
    assert {row.outcome for row in history.of("coded")} == {"enqueued"}


def test_one_that_is_disabled_and_enabled_again_begins_then(
    app: App, clock: Clock, store: Store, book: Book, history: ScheduleHistory
) -> None:
    declare(app, coded())
    lead(app, clock, "a")
    declare(app, coded(enabled=False))
    clock.pass_(minutes=3)
    lead(app, clock, "b")
    assert book.entry("coded").state == "disabled"
    declare(app, coded())
    lead(app, clock, "c")
    assert store.sent == []
    assert [row.note for row in history.of("coded")] == ["while it was disabled"]


def test_a_pause_outlives_a_restart(app: App, clock: Clock, store: Store, book: Book) -> None:
    declare(app, coded())
    lead(app, clock, "a")
    book.pause("coded", "ada")
    clock.pass_(minutes=3)
    lead(app, clock, "b")
    assert store.sent == []


def test_a_schedule_whose_actor_went_is_flagged_refused_and_heals(
    app: App,
    clock: Clock,
    store: Store,
    book: Book,
    rows: Schedules,
    history: ScheduleHistory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    book.add(schedule(catch_up=CatchUp.ALL), "ada")
    report = app.broker.actors.pop("report")
    scheduler = lead(app, clock, "a")
    clock.pass_(minutes=1)
    scheduler.turn()
    clock.pass_(minutes=1)
    scheduler.turn()
    row = rows.get("nightly")
    assert row is not None
    assert "no actor named 'report'" in (row.flaw or "")
    assert row.flawed_at == START
    assert book.entry("nightly").state == "flawed"
    assert [(tick.outcome, tick.tick) for tick in history.of("nightly")] == [
        ("waits", START + 2 * MINUTE),
        ("waits", START + MINUTE),
    ]
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 2  # that it cannot run, and of its ticks one a minute by the log's own clock
    assert errors[0].startswith("Schedule nightly cannot run: There is no actor named 'report'")
    assert errors[1].startswith("A tick of schedule nightly waits: There is no actor")

    clock.pass_(hours=1)
    scheduler.turn()
    waits = {tick.tick for tick in history.of("nightly", 1_000) if tick.outcome == "waits"}
    refused = {tick.tick for tick in history.of("nightly", 1_000) if tick.outcome == "refused"}
    assert refused == {START + MINUTE}  # more than an hour ago
    assert waits == {START + n * MINUTE for n in range(2, 63)}

    app.broker.actors["report"] = report
    clock.pass_(minutes=1)
    lead(app, clock, "b")
    row = rows.get("nightly")
    assert row is not None
    assert (row.flaw, row.flawed_at, len(store.sent)) == (None, None, 62)
    assert {tick.outcome for tick in history.of("nightly", 1_000)} == {"refused", "enqueued"}


def test_a_tick_waits_for_the_release_that_knows_its_actor(
    app: App, clock: Clock, store: Store, book: Book, history: ScheduleHistory
) -> None:
    book.add(schedule("last", "0 * * * *"), "ada")
    book.add(schedule("skip", "*/5 * * * *", catch_up=CatchUp.SKIP), "ada")
    report = app.broker.actors.pop("report")
    old = lead(app, clock, "old release")
    for _ in range(5):
        clock.pass_(minutes=13)
        old.turn()
    assert store.sent == []
    app.broker.actors["report"] = report
    lead(app, clock, "new release")
    assert store.sent == [tick_id("skip", START + 65 * MINUTE), tick_id("last", START + 60 * MINUTE)]
    assert [row.outcome for row in history.of("last")] == ["enqueued"]


def test_one_that_was_due_hours_ago_waits_as_long(
    app: App, clock: Clock, store: Store, book: Book, history: ScheduleHistory
) -> None:
    book.add(schedule(timing="30 12 * * *"), "ada")
    report = app.broker.actors.pop("report")
    clock.pass_(hours=3)
    old = lead(app, clock, "old release")
    clock.pass_(minutes=59)
    old.turn()
    assert [row.outcome for row in history.of("nightly")] == ["waits"]
    app.broker.actors["report"] = report
    lead(app, clock, "new release")
    assert [row.outcome for row in history.of("nightly")] == ["enqueued"]
    assert store.sent == [tick_id("nightly", START + 30 * MINUTE)]


def test_a_schedule_that_does_not_fit_any_more_heals_by_an_edit(
    app: App, clock: Clock, store: Store, book: Book, rows: Schedules
) -> None:
    one = schedule(args={"kind": 5})
    rows_before = book.add(schedule(), "ada").row
    from scheduling.documents import written

    rows.edit("nightly", {"document": written(app, one)}, "old release", at=START)
    scheduler = lead(app, clock, "a")
    flawed = rows.get("nightly")
    assert flawed is not None
    assert "kind" in (flawed.flaw or "")
    book.replace(schedule(), "ada")
    clock.pass_(minutes=1)
    scheduler.turn()
    assert len(store.sent) == 1
    healed = rows.get("nightly")
    assert healed is not None
    assert healed.flaw is None
    assert healed.fingerprint == rows_before.fingerprint


def test_the_one_made_at_runtime_counts_when_code_declares_its_name(
    app: App, clock: Clock, store: Store, book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    book.add(schedule("coded", "30 * * * *"), "ada")
    declare(app, coded())
    scheduler = lead(app, clock, "a")
    assert "delete that, or rename one of them" in caplog.text
    clock.pass_(minutes=30)
    scheduler.turn()
    assert store.sent == [tick_id("coded", START + 30 * MINUTE)]


def test_a_declared_one_whose_row_vanishes_is_put_back_and_begins_then(
    app: App,
    clock: Clock,
    store: Store,
    book: Book,
    rows: Schedules,
    caplog: pytest.LogCaptureFixture,
) -> None:
    declare(app, coded())
    scheduler = lead(app, clock, "a")
    clock.pass_(seconds=30)
    rows.remove("coded")
    scheduler.turn()
    row = rows.get("coded")
    assert row is not None
    assert row.cursor == clock()
    assert "The row of schedule coded is gone, but code declares it: it is put back" in caplog.text
    clock.pass_(seconds=30)
    scheduler.turn()
    assert store.sent == [tick_id("coded", START + MINUTE)]


def test_settings_win_over_code(app: App, book: Book, clock: Clock) -> None:
    declare(app, coded())
    said = ScheduleSettings(actor="report", cron="0 5 * * *", timezone="Europe/Berlin", overlap="skip")
    app.settings = app.settings.model_copy(update={"schedules": {"coded": said}})
    entry = book.entry("coded")
    assert entry.source == "settings"
    assert entry.schedule is not None
    assert entry.schedule.plan.zone == "Europe/Berlin"


def test_a_flaw_of_one_that_is_off_is_told_when_it_is_switched_on(
    monkeypatch: pytest.MonkeyPatch, app: App, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def settings(*, enabled: bool) -> dict[str, ScheduleSettings]:
        return {"later": ScheduleSettings(actor="nobody", cron="* * * * *", enabled=enabled)}

    monkeypatch.setattr(
        app, "settings", app.settings.model_copy(update={"schedules": settings(enabled=False)})
    )
    lead(app, clock, "a")
    assert "later" not in caplog.text
    monkeypatch.setattr(
        app, "settings", app.settings.model_copy(update={"schedules": settings(enabled=True)})
    )
    clock.pass_(minutes=1)
    lead(app, clock, "b")
    assert "Schedule later cannot run: There is no actor named 'nobody'" in caplog.text
