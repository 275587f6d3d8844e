"""From a tick to its job: handed over once, on time, with its history, whatever is away meanwhile."""

import logging
from datetime import timedelta

import pytest

from actors.composition import App
from database.schedule_history import ScheduleHistory
from database.schedules import Schedules
from integrations.errors import TransientFailure
from jobs.errors import StoreUnavailable
from jobs.ids import scoped_id
from jobs.schedules import CatchUp, Overlap, tick_id
from jobs.states import JobState
from scheduling.book import Book
from scheduling.firing import Due, fire, fire_many
from scheduling.line import BATCH
from tests.scheduling.stage import START, Clock, LockedFile, Scheduler, Store, schedule

MINUTE = timedelta(minutes=1)


def test_a_tick_becomes_a_job_under_the_id_of_the_tick(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store, history: ScheduleHistory
) -> None:
    book.add(schedule(args={"kind": "of {schedule}", "period": "{tick}", "since": "{previous_tick}"}), "ada")
    clock.pass_(minutes=1)
    scheduler.turn()
    (job,) = store.jobs()
    assert job.id == "cron:nightly:2026-03-02T12:01:00Z"
    assert (
        b'{"kind":"of nightly","period":"2026-03-02T12:01:00Z","since":"2026-03-02T12:00:00Z"}' in job.payload
    )
    (row,) = history.of("nightly")
    assert (row.kind, row.outcome, row.job_id, row.tick) == ("tick", "enqueued", job.id, START + MINUTE)
    assert (row.late_ms, row.count, row.by) == (0, 1, "")


def test_a_new_schedule_begins_with_its_first_tick_after_it_was_made(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store
) -> None:
    clock.pass_(seconds=30)
    book.add(schedule(timing=10, catch_up=CatchUp.ALL), "ada")
    clock.pass_(seconds=5)
    assert scheduler.turn() == START + timedelta(seconds=39)  # a second before it is due
    assert store.sent == []
    clock.pass_(seconds=4)
    scheduler.turn()
    assert store.sent == ["cron:nightly:2026-03-02T12:00:40Z"]


def test_it_waits_in_the_store_for_the_second_that_it_is_early(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store
) -> None:
    book.add(schedule(), "ada")
    clock.pass_(seconds=59)
    scheduler.turn()
    (job,) = store.jobs()
    assert (job.state, job.due_at) == (JobState.DELAYED, round((START + MINUTE).timestamp() * 1000))


def test_one_moment_is_fired_once_and_the_schedule_has_ended(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store
) -> None:
    book.add(schedule("once", START + MINUTE), "ada")
    for _ in range(3):
        clock.pass_(minutes=1)
        scheduler.turn()
    assert len(store.sent) == 1
    assert scheduler.step() is None
    assert book.entry("once").state == "ended"


def test_a_schedule_ends_at_its_end(book: Book, scheduler: Scheduler, clock: Clock, store: Store) -> None:
    book.add(schedule(end=START + 2 * MINUTE, timing="* * * * *"), "ada")
    for _ in range(5):
        clock.pass_(minutes=1)
        scheduler.turn()
    assert len(store.sent) == 2
    assert book.entry("nightly").state == "ended"


def test_options_of_the_schedule_are_those_of_its_jobs(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store
) -> None:
    options = {"tenant_id": "acme", "priority": 2, "attempts": 7}
    book.add(schedule(options=options), "ada")
    clock.pass_(minutes=1)
    scheduler.turn()
    (job,) = store.jobs()
    assert job.id == scoped_id("acme", tick_id("nightly", START + MINUTE))
    assert (job.lane, job.priority, job.max_attempts) == ("acme", 2, 7)


def test_jitter_is_in_when_the_job_may_start(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store
) -> None:
    one = schedule(jitter_s=30)
    book.add(one, "ada")
    due = one.plan.due("nightly", START + MINUTE)
    clock.now = due - timedelta(seconds=1)
    scheduler.turn()
    (job,) = store.jobs()
    assert job.due_at == round(due.timestamp() * 1000)
    assert job.id == tick_id("nightly", START + MINUTE)


def test_after_downtime_what_was_missed_is_fired_and_noted_as_the_policy_says(
    app: App, book: Book, clock: Clock, store: Store, history: ScheduleHistory
) -> None:
    for policy in CatchUp:
        book.add(schedule(policy.value, "0 * * * *", catch_up=policy), "ada")
    clock.pass_(hours=5, minutes=30)
    Scheduler(app, clock).turn()
    fired = {policy: sum(f":{policy.value}:" in job for job in store.sent) for policy in CatchUp}
    assert fired == {CatchUp.SKIP: 0, CatchUp.LAST: 1, CatchUp.ALL: 5}
    (skipped,) = history.of("skip")
    assert (skipped.kind, skipped.outcome, skipped.count) == ("missed", "skipped_missed", 5)
    assert [(row.kind, row.count) for row in history.of("last")] == [("tick", 1), ("missed", 4)]
    assert {row.outcome for row in history.of("all")} == {"enqueued"}
    assert history.of("all")[0].late_ms == 30 * 60_000


def test_more_missed_ticks_than_one_round_takes_are_all_fired(
    app: App, book: Book, clock: Clock, store: Store, history: ScheduleHistory
) -> None:
    book.add(schedule(catch_up=CatchUp.ALL, catch_up_max=2 * BATCH + 7), "ada")
    clock.pass_(minutes=3 * BATCH)
    Scheduler(app, clock).turn()
    in_time = 2  # the one that is due now, and the one of a minute ago
    assert len(store.created) == len(set(store.created)) == 2 * BATCH + 7 + in_time
    missed = [row for row in history.of("nightly", 5_000) if row.kind == "missed"]
    assert [(row.count, row.note) for row in missed] == [(20, "not fired in time; 20 or more")]


def test_while_the_last_one_is_not_done_overlap_skip_leaves_a_tick_out(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store, history: ScheduleHistory
) -> None:
    book.add(schedule(overlap=Overlap.SKIP), "ada")
    clock.pass_(minutes=1)
    scheduler.turn()
    first = store.begin()
    clock.pass_(minutes=1)
    scheduler.turn()
    store.end()
    clock.pass_(minutes=1)
    scheduler.turn()
    third, second, _ = history.of("nightly")
    assert (second.outcome, second.job_id) == ("skipped_overlap", first)
    assert (third.outcome, third.job_id) == ("enqueued", tick_id("nightly", START + 3 * MINUTE))
    assert len(store.created) == 2


def test_overlap_queue_keeps_one_waiting_and_that_is_the_newest(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store, history: ScheduleHistory
) -> None:
    book.add(schedule(overlap=Overlap.QUEUE), "ada")
    clock.pass_(minutes=1)
    scheduler.turn()
    store.begin()
    for _ in range(3):
        clock.pass_(minutes=1)
        scheduler.turn()
    assert [job.id for job in store.jobs()] == [tick_id("nightly", START + 4 * MINUTE)]
    outcomes = [row.outcome for row in history.of("nightly")]
    assert outcomes == ["enqueued", "skipped_overlap", "skipped_overlap", "enqueued"]
    assert "took its place" in history.of("nightly")[1].note


def test_jobs_that_made_way_before_a_kill_do_not_stand_as_enqueued(
    app: App, book: Book, clock: Clock, store: Store, history: ScheduleHistory
) -> None:
    one = schedule(overlap=Overlap.QUEUE, catch_up=CatchUp.ALL)
    book.add(one, "ada")
    fire(app, one, START + MINUTE, clock.pass_(minutes=1))
    store.begin()
    for n in (2, 3, 4):
        fire(app, one, START + n * MINUTE, clock.pass_(minutes=1))
    Scheduler(app, clock).turn()  # the one that fired them was killed before it wrote that down
    assert [(row.outcome, row.note) for row in history.of("nightly")] == [
        ("enqueued", "its job was there already"),  # it waits
        ("skipped_overlap", "its job made way for a newer one"),
        ("skipped_overlap", "its job made way for a newer one"),
        ("enqueued", "its job was there already"),  # it runs
    ]


def test_with_overlap_nothing_is_handed_over_early(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store
) -> None:
    book.add(schedule(overlap=Overlap.SKIP), "ada")
    clock.pass_(seconds=59.5)
    assert scheduler.turn() == START + MINUTE
    assert store.sent == []


def test_a_job_store_that_is_away_costs_no_tick_and_is_told_of_once(
    book: Book,
    scheduler: Scheduler,
    clock: Clock,
    store: Store,
    history: ScheduleHistory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "callboard.schedules")
    book.add(schedule(timing=10), "ada")
    store.away = True
    waits = []
    for _ in range(40):
        again = scheduler.turn()
        assert again is not None
        waits.append((again - clock()).total_seconds())
        clock.pass_(seconds=1)
    assert store.created == []
    assert min(waits) >= 0.2  # no busy loop
    store.away = False
    clock.pass_(seconds=6)
    scheduler.turn()
    assert store.created == [tick_id("nightly", START + timedelta(seconds=10 * n)) for n in (1, 2, 3, 4)]
    assert len(history.of("nightly")) == 4
    said = [record.getMessage() for record in caplog.records if "job store" in record.getMessage()]
    assert said == [
        "Ticks wait for the job store: The job store is away.",
        "Ticks wait for the job store no more.",
    ]


def test_a_database_that_is_away_costs_no_tick_and_makes_none_twice(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store, rows: Schedules, locked: LockedFile
) -> None:
    book.add(schedule(timing=2), "ada")
    scheduler.turn()
    locked.begin()
    for _ in range(4):  # within its lease it goes on
        clock.pass_(seconds=1)
        assert scheduler.step() is not None
    locked.end()
    clock.pass_(seconds=2)
    scheduler.turn()
    assert len(store.sent) == len(set(store.sent)) == 3
    row = rows.get("nightly")
    assert row is not None
    assert row.cursor == START + timedelta(seconds=6)


def test_a_leader_that_cannot_renew_stops_before_its_lease_is_over(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store
) -> None:
    book.add(schedule(timing=1), "ada")
    scheduler.turn()
    for _ in range(20):
        clock.pass_(seconds=1)
        scheduler.step()
    assert len(store.sent) == 5  # and one ahead; its lease is 6 s
    scheduler.turn()
    assert len(store.sent) == 21


def test_a_tick_that_was_handed_over_and_not_stored_is_found_again(
    app: App, book: Book, clock: Clock, store: Store, history: ScheduleHistory
) -> None:
    one = schedule()
    book.add(one, "ada")
    fire(app, one, START + MINUTE, clock.pass_(minutes=1))
    Scheduler(app, clock).turn()
    (row,) = history.of("nightly")
    assert (row.outcome, row.note) == ("enqueued", "its job was there already")
    assert len(store.created) == 1


def test_one_that_is_refused_keeps_no_other_back(app: App, store: Store, clock: Clock) -> None:
    good = [schedule(f"good-{number}") for number in range(3)]
    bad = schedule("bad", args={"kind": "x" * 200_000})
    unknown = schedule("unknown", actor="nobody")
    fired = fire_many(app, [Due(one, START) for one in (good[0], bad, good[1], unknown, good[2])], START)
    assert [one.outcome.value for one in fired] == ["enqueued", "refused", "enqueued", "refused", "enqueued"]
    assert "bytes" in fired[1].note
    assert len(store.created) == 3


def test_firing_raises_when_the_store_is_away(app: App, store: Store) -> None:
    store.away = True
    with pytest.raises(StoreUnavailable):
        fire(app, schedule(), START, START)


@pytest.mark.parametrize("error", [TransientFailure("The bucket is away."), OSError("no space left")])
def test_what_only_one_schedule_needs_and_is_away_holds_back_that_one_alone(
    book: Book, scheduler: Scheduler, clock: Clock, store: Store, history: ScheduleHistory, error: Exception
) -> None:
    book.add(schedule("large"), "ada")
    book.add(schedule("small"), "ada")
    store.refuses = lambda job: error if ":large:" in job.id else None
    clock.pass_(minutes=1)
    again = scheduler.turn()
    assert store.created == [tick_id("small", START + MINUTE)]
    assert history.of("large") == []
    assert again is not None
    assert again > clock()  # no busy loop
    store.refuses = lambda job: None
    clock.pass_(seconds=10)
    scheduler.turn()
    assert [(row.outcome, row.tick) for row in history.of("large")] == [("enqueued", START + MINUTE)]


@pytest.mark.parametrize("policy", CatchUp)
def test_a_long_outage_of_the_job_store_costs_a_leader_no_tick_under_any_policy(
    book: Book,
    scheduler: Scheduler,
    clock: Clock,
    store: Store,
    history: ScheduleHistory,
    policy: CatchUp,
) -> None:
    book.add(schedule(catch_up=policy, catch_up_max=1), "ada")
    clock.pass_(seconds=58)
    scheduler.turn()
    store.away = True
    for _ in range(10 * 12):
        clock.pass_(seconds=5)
        scheduler.turn()
    assert store.created == []
    store.away = False
    clock.pass_(seconds=6)
    scheduler.turn()
    assert len(store.created) == 11
    assert {row.kind for row in history.of("nightly")} == {"tick"}
