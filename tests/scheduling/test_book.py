"""What people do with schedules: add, change, pause, resume, run, delete."""

from datetime import timedelta
from typing import Any

import pytest

from actors.composition import App
from database.schedule_history import ScheduleHistory
from database.schedules import Schedules
from jobs.errors import InvalidPayload, InvalidSchedule, UnknownActor
from jobs.schedules import CatchUp, Overlap, Source, tick_id
from jobs.times.durations import text_of_seconds
from scheduling.book import Book
from scheduling.errors import NotEditable, ScheduleChanged, ScheduleExists, UnknownSchedule
from tests.scheduling.stage import START, Clock, Scheduler, Store, schedule

MINUTE = timedelta(minutes=1)


def test_a_schedule_comes_back_as_it_was_added(book: Book) -> None:
    one = schedule(
        args={"kind": "weekly"}, options={"tenant_id": "acme"}, overlap=Overlap.SKIP, description="At night."
    )
    entry = book.add(one, "ada")
    assert entry.schedule == one
    assert book.entry("nightly") == entry
    assert [entry.name for entry in book.entries()] == ["nightly"]
    assert (entry.state, entry.row.created_by, entry.row.version) == ("active", "ada", 1)
    assert entry.next_tick(START) == START + MINUTE


def test_a_name_is_given_once(book: Book) -> None:
    book.add(schedule(), "ada")
    with pytest.raises(ScheduleExists, match="'nightly' already"):
        book.add(schedule(), "bob")


def test_a_name_that_nothing_has_gets_a_hint(book: Book) -> None:
    book.add(schedule(), "ada")
    with pytest.raises(UnknownSchedule, match="did you mean 'nightly'"):
        book.entry("nightley")
    for act in (book.pause, book.resume, book.delete, book.run_now):
        with pytest.raises(UnknownSchedule):
            act("gone", "ada")


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"actor": "reprot"}, UnknownActor, "did you mean 'report'"),
        ({"args": {"kind": 5}}, InvalidPayload, "kind"),
        ({"args": {"sort": "x"}}, InvalidPayload, "sort"),
        ({"args": {"period": "on {tick}"}}, InvalidPayload, "period"),
        ({"options": {"priority": 11}}, InvalidPayload, "priority"),
        ({"options": {"colour": "red"}}, InvalidPayload, "colour"),
    ],
)
def test_what_could_never_run_is_refused(
    book: Book, wrong: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        book.add(schedule(**wrong), "ada")
    assert book.entries() == []


@pytest.mark.parametrize(
    ("timing", "jitter_s", "gap"),
    [("*/5 * * * *", 300, 300), ("0,1 * * * *", 90, 60), ("0 9 1,2 * *", 86_400, 86_400)],
)
def test_jitter_that_puts_ticks_out_of_order_is_refused(
    book: Book, timing: str, jitter_s: int, gap: int
) -> None:
    words = f"jitter must be shorter than the {text_of_seconds(gap)} between two ticks"
    with pytest.raises(InvalidSchedule, match=words):
        book.add(schedule(timing=timing, jitter_s=jitter_s), "ada")
    book.add(schedule(timing=timing, jitter_s=30), "ada")


def test_with_another_timing_it_begins_anew_and_what_was_due_before_is_in_its_history(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store, history: ScheduleHistory
) -> None:
    book.add(schedule(timing="0 * * * *", catch_up=CatchUp.ALL), "ada")
    scheduler.turn()
    clock.pass_(minutes=90)
    changed = schedule(timing="*/10 * * * *", catch_up=CatchUp.ALL)
    entry = book.replace(changed, "bob")
    assert (entry.row.version, entry.row.updated_by, entry.row.cursor) == (2, "bob", clock())
    (missed,) = history.of("nightly")
    assert (missed.outcome, missed.tick) == ("skipped_missed", START + 60 * MINUTE)
    assert "before its timing was changed" in (missed.note or "")
    scheduler.turn()
    assert store.sent == []
    clock.pass_(minutes=10)
    scheduler.turn()
    assert store.sent == [tick_id("nightly", START + 100 * MINUTE)]


def test_other_changes_leave_its_place_alone(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store
) -> None:
    book.add(schedule(), "ada")
    clock.pass_(seconds=90)
    book.replace(schedule(args={"kind": "weekly"}), "bob")
    scheduler.turn()
    (job,) = store.jobs()
    assert b"weekly" in job.payload
    assert job.id == tick_id("nightly", START + MINUTE)


def test_two_people_who_change_it_at_once_do_not_undo_each_other(book: Book) -> None:
    version = book.add(schedule(), "ada").row.version
    book.replace(schedule(description="bob's"), "bob", version)
    with pytest.raises(ScheduleChanged, match="read it again"):
        book.replace(schedule(description="eve's"), "eve", version)
    with pytest.raises(UnknownSchedule):
        book.replace(schedule("gone"), "eve")


def test_a_paused_schedule_fires_nothing_and_is_not_caught_up(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store, history: ScheduleHistory
) -> None:
    book.add(schedule(catch_up=CatchUp.ALL), "ada")
    clock.pass_(minutes=1)
    scheduler.turn()
    assert book.pause("nightly", "bob") is True
    assert book.pause("nightly", "eve") is False
    entry = book.entry("nightly")
    assert (entry.state, entry.row.paused_by, entry.next_tick(clock())) == ("paused", "bob", None)
    for _ in range(3):
        clock.pass_(minutes=1)
        scheduler.turn()
    assert len(store.sent) == 1

    assert book.resume("nightly", "bob") is True
    assert book.resume("nightly", "bob") is False
    scheduler.turn()
    assert len(store.sent) == 1
    clock.pass_(minutes=1)
    scheduler.turn()
    assert store.sent[1:] == [tick_id("nightly", START + 5 * MINUTE)]
    _, missed, _ = history.of("nightly")
    assert (missed.kind, missed.outcome, missed.count) == ("missed", "skipped_missed", 3)
    assert (missed.tick, missed.note) == (START + 4 * MINUTE, "while it was paused")


def test_neither_is_one_that_was_disabled(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store, history: ScheduleHistory
) -> None:
    book.add(schedule(enabled=False, catch_up=CatchUp.ALL), "ada")
    assert book.entry("nightly").state == "disabled"
    clock.pass_(minutes=5)
    scheduler.turn()
    book.replace(schedule(catch_up=CatchUp.ALL), "ada")
    scheduler.turn()
    assert store.sent == []
    assert [(row.kind, row.count) for row in history.of("nightly")] == [("missed", 5)]


def test_a_deleted_schedule_is_fired_no_more_and_its_history_stays(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store, history: ScheduleHistory
) -> None:
    book.add(schedule(), "ada")
    clock.pass_(minutes=1)
    scheduler.turn()
    book.delete("nightly", "bob")
    clock.pass_(minutes=1)
    scheduler.turn()
    assert len(store.sent) == 1
    assert len(history.of("nightly")) == 1
    assert scheduler.engine.count == 0


def test_running_it_now_is_no_tick(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store, history: ScheduleHistory
) -> None:
    book.add(schedule(args={"period": "{tick}"}), "ada")
    book.pause("nightly", "ada")
    clock.pass_(seconds=7)
    fired = book.run_now("nightly", "bob")
    again = book.run_now("nightly", "bob")
    assert (fired.outcome, again.note) == ("enqueued", "its job was there already")  # of one moment
    (job,) = store.jobs()
    assert job.id == fired.job_id == "run:nightly:20260302T120007.000000"
    assert b"2026-03-02T12:00:07Z" in job.payload
    (row,) = history.of("nightly")
    assert (row.kind, row.by, row.tick) == ("run", "bob", clock())
    cursor = book.entry("nightly").row.cursor
    assert cursor == START


def test_overlap_counts_when_it_is_run_by_hand(book: Book, store: Store, clock: Clock) -> None:
    book.add(schedule(overlap=Overlap.SKIP), "ada")
    first = book.run_now("nightly", "ada")
    clock.pass_(seconds=1)
    second = book.run_now("nightly", "ada")
    assert (second.outcome, second.job_id) == ("skipped_overlap", first.job_id)


def test_private_arguments_are_not_in_the_database(book: Book, rows: Schedules, app: App) -> None:
    one = schedule(actor="letter", args={"to": "ada@example.org"})
    book.add(one, "ada")
    row = rows.get("nightly")
    assert row is not None
    assert row.document is not None
    assert "ada@example.org" not in row.document
    entry = book.entry("nightly")
    assert (entry.schedule, entry.private) == (one, True)
    file = app.settings.database_url.removeprefix("sqlite:///")
    with open(file, "rb") as stored:  # noqa: PTH123
        assert b"ada@example.org" not in stored.read()


def test_a_document_that_somebody_spoiled_is_flagged_and_can_be_mended(
    book: Book, rows: Schedules, scheduler: Scheduler, clock: Clock, store: Store
) -> None:
    book.add(schedule(), "ada")
    rows.edit("nightly", {"document": "{]"}, "eve", at=START)
    entry = book.entry("nightly")
    assert (entry.schedule, entry.state) == (None, "flawed")
    assert "cannot be read" in (entry.flaw or "")
    clock.pass_(minutes=1)
    scheduler.turn()
    with pytest.raises(InvalidSchedule, match="cannot be run"):
        book.run_now("nightly", "ada")
    assert store.sent == []
    book.replace(schedule(), "ada")
    scheduler.turn()
    assert store.sent == [tick_id("nightly", START + MINUTE)]  # it has waited


def test_what_code_declares_is_not_edited_here(app: App, book: Book) -> None:
    one = schedule("of-code", source=Source.CODE)
    app.broker.actors["report"].options["schedule"] = one
    entry = book.entry("of-code")
    assert (entry.schedule, entry.editable) == (one, False)
    with pytest.raises(NotEditable, match="declared in"):
        book.replace(schedule("of-code"), "ada")
    with pytest.raises(NotEditable):
        book.delete("of-code", "ada")
    with pytest.raises(ScheduleExists):
        book.add(schedule("of-code"), "ada")
    assert book.pause("of-code", "ada") is True
    assert book.entry("of-code").state == "paused"


def declare_in_code(app: App) -> None:
    app.broker.actors["report"].options["schedule"] = schedule("of-code", source=Source.CODE)


def test_what_only_this_process_no_longer_declares_is_not_deleted(app: App, book: Book, clock: Clock) -> None:
    """The scheduler still fires it: another release, or another callboard.toml."""
    declare_in_code(app)
    Scheduler(app, clock).turn()
    del app.broker.actors["report"].options["schedule"]

    with pytest.raises(NotEditable, match="restart the scheduler"):
        book.delete("of-code", "ada")

    assert "the scheduler fires it" in (book.entry("of-code").notice or "")
    clock.pass_(seconds=10)
    after = Scheduler(app, clock, "b")
    clock.pass_(seconds=10)
    after.turn()  # of this code
    assert book.entry("of-code").notice is None
    book.delete("of-code", "ada")
    with pytest.raises(UnknownSchedule):
        book.entry("of-code")


def test_what_the_scheduler_has_not_read_yet_says_to_restart_it(app: App, book: Book, clock: Clock) -> None:
    declare_in_code(app)
    assert book.entry("of-code").notice == "new: restart the scheduler"
    book.pause("of-code", "ada")
    book.resume("of-code", "ada")
    assert [entry.notice for entry in book.entries()] == ["new: restart the scheduler"]
    Scheduler(app, clock).turn()
    assert book.entry("of-code").notice is None


def test_one_made_at_runtime_says_that_it_hides_a_declared_one(app: App, book: Book) -> None:
    book.add(schedule("of-code"), "ada")
    declare_in_code(app)
    assert "instead of the one of this name in code" in (book.entry("of-code").notice or "")


@pytest.mark.parametrize("timing", [START - MINUTE, "0 0 * * *"])
def test_one_without_a_tick_to_come_is_refused(book: Book, timing: Any) -> None:
    late = schedule(timing=timing, end=START + MINUTE) if isinstance(timing, str) else schedule(timing=timing)
    with pytest.raises(InvalidSchedule, match="no tick from now on"):
        book.add(late, "ada")
    book.add(schedule(), "ada")
    with pytest.raises(InvalidSchedule, match="no tick from now on"):
        book.replace(late, "ada")


def test_overlap_does_not_replace_an_actors_own_unique(app: App, book: Book) -> None:
    app.broker.actors["report"].options["unique"] = True
    book.add(schedule("plain"), "ada")
    with pytest.raises(InvalidSchedule, match="overlap must be allow for 'report'"):
        book.add(schedule("strict", overlap=Overlap.SKIP), "ada")


def test_who_has_seen_an_older_version_does_not_delete(book: Book) -> None:
    version = book.add(schedule(), "ada").row.version
    book.replace(schedule(description="bob's"), "bob", version)
    with pytest.raises(ScheduleChanged):
        book.delete("nightly", "ada", version)
    book.delete("nightly", "ada", version + 1)
