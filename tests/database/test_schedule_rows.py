"""The rows of schedules: what people change is numbered, what the leader changes is fenced."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from database.schedule_history import ScheduleHistory, TickRow
from database.scheduler_lease import LeaseTaken, SchedulerLease
from database.schedules import Schedules, StoredSchedule

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def stored(name: str, **more: object) -> StoredSchedule:
    row = StoredSchedule(name, "runtime", "{}", 1, True, NOON, NOON, "ada", NOON, "ada", "f", "t")
    return row.altered(**more)


def ticked(schedule: str, tick: datetime, outcome: str = "enqueued", job: str | None = None) -> TickRow:
    return TickRow(schedule, "tick", tick, tick, outcome, job, tick, 3)


@pytest.fixture
def rows(engine: Engine) -> Schedules:
    return Schedules(engine)


@pytest.fixture
def history(engine: Engine) -> ScheduleHistory:
    return ScheduleHistory(engine)


@pytest.fixture
def token(engine: Engine) -> int:
    token = SchedulerLease(engine).take("leader")
    assert token is not None
    return token


def test_a_schedule_is_stored_once(rows: Schedules) -> None:
    added = rows.add(stored("a"))
    assert added is not None
    assert rows.get("a") == added
    assert rows.add(stored("a", document="other")) is None
    assert rows.get("a") == added
    assert rows.get("b") is None


def test_times_come_back_in_utc(rows: Schedules) -> None:
    rows.add(stored("a"))
    (row,) = rows.all()
    assert row.cursor == NOON
    assert row.cursor.tzinfo is UTC


def test_changes_are_numbered_so_that_others_see_them(rows: Schedules, engine: Engine) -> None:
    rows.add(stored("a"))
    rows.add(stored("b"))
    seen = rows.changed_since(0)
    assert ({row.name for row in seen.rows}, seen.names) == ({"a", "b"}, {"a", "b"})
    assert SchedulerLease(engine).standing().changes == seen.number

    rows.pause("b", "bob", NOON)
    rows.remove("a")
    news = rows.changed_since(seen.number)
    assert ([row.name for row in news.rows], news.names) == (["b"], {"b"})
    assert rows.changed_since(news.number).rows == []


def test_an_edit_counts_the_version_and_refuses_an_old_one(rows: Schedules) -> None:
    rows.add(stored("a"))
    row = rows.edit("a", {"document": "new"}, "bob", at=NOON + HOUR, version=1)
    assert row is not None
    assert (row.document, row.version, row.updated_by) == ("new", 2, "bob")
    assert row == rows.get("a")
    assert rows.edit("a", {"document": "newer"}, "eve", at=NOON, version=1) is None
    assert rows.edit("gone", {}, "eve", at=NOON) is None
    assert rows.get("a") == row


def test_a_pause_is_kept_with_who_and_when(rows: Schedules) -> None:
    rows.add(stored("a"))
    assert rows.pause("a", "bob", NOON + HOUR) is True
    assert rows.pause("a", "eve", NOON + 2 * HOUR) is False
    row = rows.get("a")
    assert row is not None
    assert (row.paused_by, row.paused_at) == ("bob", NOON + HOUR)
    assert rows.pause("gone", "bob", NOON) is None


def test_a_resumed_schedule_starts_from_then_and_its_history_says_what_it_missed(
    rows: Schedules, history: ScheduleHistory
) -> None:
    rows.add(stored("a"))
    rows.pause("a", "bob", NOON)
    missed = TickRow("a", "missed", NOON + HOUR, NOON + HOUR, "skipped_missed", None, NOON, 0, 12, "paused")
    assert rows.resume("a", NOON + 2 * HOUR, missed) is True
    assert rows.resume("a", NOON + 3 * HOUR, missed) is False
    row = rows.get("a")
    assert row is not None
    assert (row.paused_at, row.cursor) == (None, NOON + 2 * HOUR)
    assert history.of("a") == [missed]


def test_cursors_and_history_move_together_and_never_back(
    rows: Schedules, history: ScheduleHistory, token: int
) -> None:
    rows.add(stored("a"))
    rows.add(stored("b"))
    rows.advance(token, {"a": NOON + HOUR, "b": NOON + HOUR}, [ticked("a", NOON + HOUR)])
    rows.advance(token, {"a": NOON}, [])
    assert [row.cursor for row in rows.all()] == [NOON + HOUR, NOON + HOUR]
    assert [row.tick for row in history.of("a")] == [NOON + HOUR]


def test_a_leader_that_was_overtaken_moves_nothing(
    rows: Schedules, history: ScheduleHistory, token: int, engine: Engine
) -> None:
    rows.add(stored("a"))
    lease = SchedulerLease(engine)
    lease.release(token)
    lease.take("another")
    with pytest.raises(LeaseTaken):
        rows.advance(token, {"a": NOON + HOUR}, [ticked("a", NOON + HOUR)])
    with pytest.raises(LeaseTaken):
        rows.reconcile(token, [stored("b")], {"a": {"flaw": "no"}})
    (row,) = rows.all()
    assert (row.name, row.cursor, row.flaw) == ("a", NOON, None)
    assert history.of("a") == []


def test_declared_schedules_are_stored_and_changed_together(rows: Schedules, token: int) -> None:
    rows.add(stored("taken"))
    rows.reconcile(token, [stored("new", source="code"), stored("taken", source="code")], {})
    rows.reconcile(token, [], {"new": {"flaw": "broken", "flawed_at": NOON}, "taken": {"enabled": False}})
    new, taken = rows.all()
    assert (new.source, new.flaw, new.flawed_at) == ("code", "broken", NOON)
    assert (taken.source, taken.enabled) == ("runtime", False)


def test_a_tick_has_one_row_and_that_it_was_enqueued_is_the_last_word(
    rows: Schedules, history: ScheduleHistory, token: int
) -> None:
    rows.advance(token, {}, [ticked("a", NOON, "refused"), ticked("b", NOON, job="1")])
    rows.advance(token, {}, [ticked("a", NOON, job="2"), ticked("b", NOON, "skipped_overlap", "9")])
    rows.advance(token, {}, [ticked("b", NOON, job="3")])
    assert [(row.outcome, row.job_id) for row in history.of("a")] == [("enqueued", "2")]
    assert [(row.outcome, row.job_id) for row in history.of("b")] == [("enqueued", "1")]


def test_a_job_that_made_way_is_told_of(rows: Schedules, history: ScheduleHistory, token: int) -> None:
    rows.advance(token, {}, [ticked("a", NOON, job="1")])
    rows.advance(token, {}, [ticked("a", NOON + HOUR, job="2")], [("1", "2")])
    newer, older = history.of("a")
    assert (newer.outcome, older.outcome, older.note) == ("enqueued", "skipped_overlap", "2 took its place")


def test_history_is_read_by_pages_newest_first(history: ScheduleHistory) -> None:
    history.add(ticked("a", NOON + number * HOUR) for number in range(5))
    first = history.of("a", limit=2)
    assert [row.tick for row in first] == [NOON + 4 * HOUR, NOON + 3 * HOUR]
    assert [row.tick for row in history.of("a", 2, first[-1].tick)] == [NOON + 2 * HOUR, NOON + HOUR]


def test_the_newest_row_of_many_schedules(history: ScheduleHistory) -> None:
    names = [f"s{number}" for number in range(1_200)]
    history.add(ticked(name, NOON + number * HOUR) for name in names for number in range(2))
    last = history.last([*names, "never"])
    assert len(last) == 1_200
    assert {row.tick for row in last.values()} == {NOON + HOUR}


def test_old_and_surplus_history_goes_in_chunks(history: ScheduleHistory) -> None:
    now = datetime.now(UTC)
    history.add(ticked("busy", now - timedelta(minutes=number)) for number in range(2_600))
    history.add([ticked("quiet", now), ticked("old", now - timedelta(days=31))])
    removed = list(history.trim(keep=500))
    assert sum(removed) == 2_101
    assert max(removed) <= 1_000
    assert len(history.of("busy", 10_000)) == 500
    assert history.of("busy", 1)[0].tick == now
    assert (len(history.of("quiet")), history.of("old")) == (1, [])
    assert list(history.trim(keep=500)) == []


def test_a_note_may_hold_what_a_database_refuses(history: ScheduleHistory) -> None:
    history.add([TickRow("a", "tick", NOON, NOON, "refused", None, NOON, 0, 1, "nul \0 and half \ud800")])
    assert "\0" not in history.of("a")[0].note


def test_a_cursor_stays_where_somebody_has_changed_the_schedule_since(
    rows: Schedules, history: ScheduleHistory, token: int
) -> None:
    rows.add(stored("a"))
    rows.add(stored("b"))
    seen = rows.changed_since(-1).number
    rows.pause("a", "ada", NOON, back_to=NOON - HOUR)
    rows.advance(token, {"a": NOON + HOUR, "b": NOON + HOUR}, [ticked("a", NOON + HOUR)], seen=seen)
    assert [row.cursor for row in rows.all()] == [NOON - HOUR, NOON + HOUR]
    assert [row.tick for row in history.of("a")] == [NOON + HOUR]
    rows.advance(token, {"a": NOON + HOUR}, [], seen=seen + 1)
    assert [row.cursor for row in rows.all()] == [NOON + HOUR, NOON + HOUR]


def test_a_cursor_is_put_back_and_never_forward(rows: Schedules) -> None:
    rows.add(stored("a"))
    edited = rows.edit("a", {}, "ada", at=NOON, back_to=NOON + HOUR)
    assert edited is not None
    assert edited.cursor == NOON
    edited = rows.edit("a", {}, "ada", at=NOON, back_to=NOON - HOUR)
    assert edited is not None
    assert edited.cursor == NOON - HOUR


def test_what_was_taken_back_is_told_and_enqueued_is_still_the_last_word(
    rows: Schedules, history: ScheduleHistory, token: int
) -> None:
    rows.add(stored("a"))
    waits = ticked("a", NOON + HOUR, "waits")
    rows.advance(token, {}, [ticked("a", NOON), waits, ticked("a", NOON + 2 * HOUR, "refused")])
    history.taken_back("a", [NOON, NOON + HOUR, NOON + 2 * HOUR], "paused by ada")
    assert [(row.outcome, row.note) for row in history.of("a")] == [
        ("refused", ""),
        ("waits", ""),
        ("taken_back", "paused by ada"),
    ]
    rows.advance(token, {}, [ticked("a", NOON), ticked("a", NOON + HOUR, "refused")])
    assert [row.outcome for row in history.of("a")] == ["refused", "refused", "enqueued"]
