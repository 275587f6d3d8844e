"""What the job of a tick is sent with: an id that is the same whoever sends it, and its options."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import InvalidSchedule
from jobs.ids import check_job_id
from jobs.schedules import check_name, from_document, job_options, tick_id
from jobs.times.cron import Cron

TICK = datetime(2026, 3, 29, 1, tzinfo=UTC)
LEAST: dict[str, Any] = {"name": "nightly", "actor": "clean_up", "cron": "0 3 * * *"}


def test_the_id_is_the_name_and_the_tick_in_utc() -> None:
    assert tick_id("nightly", TICK) == "cron:nightly:2026-03-29T01:00:00Z"
    berlin = Cron.parse("@daily", "Europe/Berlin").tz
    assert tick_id("nightly", TICK.astimezone(berlin)) == tick_id("nightly", TICK)


@given(st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z"), st.datetimes())
def test_it_is_an_id_that_the_broker_takes(name: str, tick: datetime) -> None:
    assert check_job_id(tick_id(check_name(name), tick.replace(tzinfo=UTC)))


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a:b", "ä", "a" * 65, "a\n", None, 5])
def test_other_names_are_refused(name: object) -> None:
    with pytest.raises(InvalidSchedule, match="must be 1 to 64 letters, digits"):
        check_name(name)


def test_options_have_the_id_and_the_due_time_in_ms() -> None:
    schedule = from_document({**LEAST, "tenant_id": "acme", "timeout": "90s"})
    assert job_options(schedule, TICK) == {
        "tenant_id": "acme",
        "time_limit": 90_000,
        "job_id": "cron:nightly:2026-03-29T01:00:00Z",
        "run_at": 1_774_746_000_000,
    }


def test_jitter_is_in_the_due_time() -> None:
    schedule = from_document({**LEAST, "jitter": "1min"})
    due = schedule.plan.due("nightly", TICK)
    assert TICK < due <= TICK + timedelta(minutes=1)
    assert job_options(schedule, TICK)["run_at"] == round(due.timestamp() * 1_000)


@pytest.mark.parametrize(("overlap", "mode"), [("skip", "until_finished"), ("queue", "latest")])
def test_overlap_is_a_unique_key_of_the_schedule(overlap: str, mode: str) -> None:
    options = job_options(from_document({**LEAST, "overlap": overlap}), TICK)
    assert options["unique"] == {"key": "schedule:nightly", "mode": mode}
