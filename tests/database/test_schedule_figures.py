"""Figures of schedules for the metrics, and the last states of jobs, on both databases."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, insert

from database.engine import write_session
from database.job_outcomes import last_states
from database.models import JobExecution
from database.schedule_figures import read_figures
from database.schedule_history import ScheduleHistory, TickRow
from database.scheduler_lease import SchedulerLease
from database.schedules import Schedules, StoredSchedule

NOW = datetime.now(UTC).replace(microsecond=0)
SECOND = timedelta(seconds=1)


def keep(engine: Engine, name: str, **more: object) -> None:
    row = StoredSchedule(name, "runtime", "{}", 1, True, NOW, NOW, "ada", NOW, "ada", "f", "t")
    Schedules(engine).add(row.altered(**more))


def ticked(schedule: str, ago_s: int, late_ms: int) -> TickRow:
    at = NOW - ago_s * SECOND
    return TickRow(schedule, "tick", at, at, "enqueued", None, at, late_ms)


def test_an_empty_board_has_no_heartbeat_and_no_lateness(engine: Engine) -> None:
    figures = read_figures(engine)

    assert set(figures.states.values()) == {0}
    assert (figures.ticks, figures.late_ms, figures.heard_s) == (0, None, None)


def test_each_schedule_counts_in_one_state(engine: Engine) -> None:
    keep(engine, "a")
    keep(engine, "b", flaw="no actor")
    keep(engine, "c", flaw="no actor", paused_at=NOW)
    keep(engine, "d", enabled=False)
    keep(engine, "e", gone=True, paused_at=NOW)

    assert read_figures(engine).states == {"on": 1, "flawed": 1, "paused": 1, "off": 1, "gone": 1}


def test_the_lateness_is_the_most_of_the_last_minute(engine: Engine) -> None:
    ScheduleHistory(engine).add([ticked("a", 5, 30), ticked("b", 10, 70), ticked("c", 90, 9_000)])

    figures = read_figures(engine, NOW)

    assert (figures.ticks, figures.late_ms) == (2, 70)


def test_the_heartbeat_is_that_of_the_process_heard_of_last(engine: Engine) -> None:
    SchedulerLease(engine).seen("vm:1", "vm", 1, NOW, 0)

    heard_s = read_figures(engine, datetime.now(UTC) + 30 * SECOND).heard_s

    assert heard_s is not None
    assert 29 <= heard_s <= 90


def test_of_several_attempts_the_last_state_counts(engine: Engine) -> None:
    attempts = [("j1", 1, "delayed"), ("j1", 2, "completed"), ("j2", 1, "failed")]
    with write_session(engine) as session:
        for job_id, token, state in attempts:
            facts = {"queue": "q", "actor": "a", "outcome": "x", "finished_at": NOW, "recorded_at": NOW}
            row = {"job_id": job_id, "attempt": token, "token": token, "state": state, "created_at": NOW}
            session.execute(insert(JobExecution).values(**facts, **row))

    assert last_states(engine, ["j1", "j2", "j3"]) == {"j1": "completed", "j2": "failed"}
