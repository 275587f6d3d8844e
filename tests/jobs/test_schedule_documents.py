"""A schedule's document: one shape in settings, API and SQL, and back to the very same schedule."""

import json
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.errors import InvalidSchedule
from jobs.schedules import (
    KEYS,
    CatchUp,
    Overlap,
    Schedule,
    Source,
    fingerprint,
    from_document,
    to_document,
)
from jobs.times.calendar import Exclusions
from jobs.times.cron import Cron
from jobs.times.intervals import Every, Once
from jobs.times.plan import Plan

LEAST: dict[str, Any] = {"name": "nightly", "actor": "clean_up", "cron": "0 3 * * *"}
MOST: dict[str, Any] = {
    "name": "nightly",
    "actor": "clean_up",
    "cron": "0 3 * * mon-fri",
    "timezone": "Europe/Berlin",
    "exclude": {
        "dates": ["2026-12-25", "2026-12-27/2027-01-02"],
        "windows": [{"from": "22:00", "to": "06:00", "days": "mon-fri"}],
    },
    "jitter": "30s",
    "start": "2026-01-01T00:00:00Z",
    "end": "2027-01-01T00:00:00Z",
    "args": {"day": "{tick}", "keep": 3, "deep": [{"since": "{previous_tick}"}, None, 1.5, True]},
    "tenant_id": "acme",
    "user_id": "user-1",
    "gate": "mailbox-7",
    "priority": 2,
    "attempts": 5,
    "timeout": "10min",
    "expires": "1h",
    "deadline": "2h",
    "catch_up": "all",
    "catch_up_window": "3d",
    "catch_up_max": 50,
    "overlap": "skip",
    "enabled": False,
    "description": "Removes what nobody needs.",
}


def test_a_document_may_have_all_of_these() -> None:
    assert {*MOST, "every", "at"} == {*KEYS}
    schedule = from_document(MOST, Source.SETTINGS)
    assert schedule == Schedule(
        name="nightly",
        actor="clean_up",
        plan=Plan(
            Cron.parse("0 3 * * mon-fri", "Europe/Berlin"),
            exclusions=Exclusions.parse(**MOST["exclude"]),
            start=datetime(2026, 1, 1, tzinfo=UTC),
            end=datetime(2027, 1, 1, tzinfo=UTC),
            jitter_s=30,
        ),
        args=MOST["args"],
        options={
            "tenant_id": "acme",
            "user_id": "user-1",
            "gate": "mailbox-7",
            "priority": 2,
            "attempts": 5,
            "time_limit": 600_000,
            "expires": 3_600_000,
            "deadline": 7_200_000,
        },
        catch_up=CatchUp.ALL,
        catch_up_window_s=3 * 86_400,
        catch_up_max=50,
        overlap=Overlap.SKIP,
        source=Source.SETTINGS,
        enabled=False,
        description="Removes what nobody needs.",
    )
    assert to_document(schedule) == MOST


def test_what_is_as_by_default_is_left_out() -> None:
    assert to_document(from_document(LEAST)) == LEAST
    assert from_document({**LEAST, "timezone": None, "jitter": None, "args": None}) == from_document(LEAST)


def test_every_and_at_stand_for_cron() -> None:
    every = from_document({"name": "a", "actor": "b", "every": "5min"})
    assert every.plan.timing == Every(300)
    assert from_document({"name": "a", "actor": "b", "every": 300}) == every
    once = from_document({"name": "a", "actor": "b", "at": "2026-12-24T18:00:00+01:00"})
    assert once.plan.timing == Once(datetime(2026, 12, 24, 17, tzinfo=UTC))
    assert to_document(once)["at"] == "2026-12-24T17:00:00Z"


def test_a_table_of_toml_is_a_document() -> None:
    table = tomllib.loads(
        """
        name = "once"
        actor = "greet"
        at = 2026-12-24T18:00:00+01:00
        timezone = "Europe/Berlin"
        exclude = { dates = [2026-12-25], windows = [{ from = 22:00:00, to = "06:00" }] }
        """
    )
    schedule = from_document(table)
    assert to_document(schedule) == {
        "name": "once",
        "actor": "greet",
        "at": "2026-12-24T17:00:00Z",
        "timezone": "Europe/Berlin",
        "exclude": {"dates": ["2026-12-25"], "windows": [{"from": "22:00", "to": "06:00"}]},
    }


times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(
    lambda at: at.replace(microsecond=0, tzinfo=UTC)
)
zones = st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"])
dates = st.tuples(st.dates(datetime(2000, 1, 1).date()), st.integers(0, 400)).filter(
    lambda two: two[0].year < 9_000
)
windows = st.fixed_dictionaries(
    {
        "from": st.sampled_from(["00:30", "08:15", "23:59"]),
        "to": st.sampled_from(["06:00", "22:30", "24:00"]),
    },
    optional={"days": st.sampled_from(["mon-fri", "sat,sun", "mon,wed-fri", "0", "1-7"])},
)
exclusions = st.builds(
    lambda days, tables: Exclusions.parse([f"{a}/{a + timedelta(days=b)}" for a, b in days], tables),
    st.lists(dates, max_size=4),
    st.lists(windows, max_size=1),
)
timings = st.one_of(
    st.tuples(st.sampled_from(["@daily", "*/5 9-17 * * mon-fri", "0 0 L * 5L"]), zones).map(
        lambda p: Cron.parse(*p)
    ),
    st.integers(1, 366 * 86_400).map(Every),
    times.map(Once),
)
plain = st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    timing = draw(timings)
    start, end = sorted(draw(st.tuples(times, times)))
    plan = Plan(
        timing,
        zone=timing.zone if isinstance(timing, Cron) else draw(zones),
        exclusions=draw(exclusions),
        start=draw(st.sampled_from([None, start])),
        end=draw(st.sampled_from([None, end])),
        jitter_s=draw(st.integers(0, 86_400)),
    )
    options = st.fixed_dictionaries(
        {},
        optional={
            "tenant_id": st.sampled_from(["acme", "Ärzte ohne Grenzen"]),
            "priority": st.integers(1, 10),
            "time_limit": st.integers(1, 10**12 - 1),
            "expires": st.integers(1, 10**12 - 1),
        },
    )
    return Schedule(
        name=draw(st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")),
        actor="greet",
        plan=plan,
        args=draw(st.dictionaries(plain, json_values, max_size=3)),
        options=draw(options),
        catch_up=draw(st.sampled_from(CatchUp)),
        catch_up_window_s=draw(st.integers(0, 6 * 86_400)),
        catch_up_max=draw(st.integers(1, 10_000)),
        overlap=draw(st.sampled_from(Overlap)),
        source=draw(st.sampled_from(Source)),
        enabled=draw(st.booleans()),
        description=draw(st.sampled_from(["", "What it is for."])),
    )


@given(schedules())
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_through_a_document_and_json_it_is_the_same_schedule(schedule: Schedule) -> None:
    document = json.loads(json.dumps(to_document(schedule)))
    again = from_document(document, schedule.source)
    assert again == schedule
    assert to_document(again) == document
    assert fingerprint(again) == fingerprint(schedule)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cron": None}, "exactly one of cron, every and at, and this has none of them."),
        ({"every": "5min"}, "exactly one of cron, every and at, and this has cron and every."),
        ({"cron": 5}, "cron '5' and its timezone must be texts"),
        ({"cron": "0 25 * * *"}, "hour '25' must be of numbers from 0 to 23"),
        ({"crom": "@daily"}, "a schedule has no 'crom': did you mean 'cron'?"),
        ({"source": "code"}, "a schedule has no 'source': "),
        (
            {"name": "no/slash"},
            "name 'no/slash' must be 1 to 64 letters, digits and ._-, first a letter or digit.",
        ),
        ({"name": None}, "name '' must be 1 to 64"),
        ({"actor": None}, "actor of schedule 'nightly' must be the name of an actor."),
        ({"timezone": "Europe/Brelin"}, "did you mean 'Europe/Berlin'?"),
        ({"timezone": 1}, "timezone '1' must be a text"),
        ({"jitter": "2 fortnights"}, "jitter '2 fortnights' must be a duration such as"),
        ({"jitter": "2d"}, "jitter '2d' must be from 0s to 1d."),
        ({"jitter": "1500ms"}, "jitter '1500ms' must be whole seconds."),
        ({"jitter": True}, "jitter 'True' must be a duration"),
        ({"cron": None, "every": "0s"}, "every '0s' must be from 1s to 366d."),
        (
            {"cron": None, "at": "2026-12-24T18:00:00"},
            "at '2026-12-24T18:00:00' must be a time with its zone",
        ),
        ({"cron": None, "at": "tomorrow"}, "at 'tomorrow' must be a time with its zone"),
        ({"start": "2026-12-24"}, "start '2026-12-24' must be a time with its zone"),
        ({"start": "2027-01-01T00:00Z", "end": "2026-01-01T00:00Z"}, "must not be before start"),
        ({"exclude": ["2026-12-25"]}, "exclude must be a table with dates, windows or both."),
        ({"exclude": {"days": []}}, "exclude must be a table with dates, windows or both."),
        ({"args": ["x"]}, "args must be a table of arguments by name."),
        ({"args": {"a": {1: 2}}}, "args must have texts for names, and '1' is none."),
        ({"args": {"a": object()}}, "args.a must be of JSON values, and has a object."),
        ({"args": {"a": float("nan")}}, "args.a must be of JSON values, and has a float."),
        (
            {"args": {"a": "{tik}"}},
            "args have '{tik}', and only {tick}, {previous_tick} and {schedule} are filled",
        ),
        ({"tenant_id": ""}, "tenant_id must be 1 to 100 printable characters."),
        ({"gate": "one:unique:x"}, "gate must not begin with one:unique:"),
        ({"gate": "mailbox", "overlap": "queue"}, "gate must not be given with overlap 'queue'"),
        ({"priority": 11}, "priority '11' must be a whole number from 1 to 10."),
        ({"attempts": 0}, "attempts '0' must be a whole number from 1 to 1000."),
        ({"timeout": "soon"}, "timeout 'soon' must be a duration"),
        ({"catch_up": "both"}, "catch_up 'both' must be one of skip, last, all."),
        ({"catch_up_window": "7d"}, "catch_up_window '7d' must be from 0s to 6d."),
        ({"catch_up_max": 0}, "catch_up_max '0' must be a whole number from 1 to 10000."),
        ({"overlap": "wait"}, "overlap 'wait' must be one of allow, skip, queue."),
        ({"enabled": "yes"}, "enabled 'yes' must be true or false."),
        ({"description": "two\nlines"}, "description must be a text of at most 500 printable characters."),
    ],
)
def test_what_is_wrong_is_refused_with_its_field_and_value(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        from_document({**LEAST, **change})
    assert said in str(refused.value)


json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["5min", "@daily", "UTC"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(KEYS), json_like, max_size=6))
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_no_document_raises_anything_else(change: dict[str, Any]) -> None:
    try:
        schedule = from_document({**LEAST, **change})
    except InvalidSchedule:
        return
    assert from_document(to_document(schedule)) == schedule


@pytest.mark.parametrize("change", sorted(MOST.keys() - {"description", "cron"}))
def test_the_fingerprint_changes_with_all_that_matters(change: str) -> None:
    changed = {key: value for key, value in MOST.items() if key != change}
    changed.setdefault("name", "another")
    changed.setdefault("actor", "another")
    assert fingerprint(from_document(changed)) != fingerprint(from_document(MOST))


def test_the_fingerprint_does_not_change_with_what_is_only_told() -> None:
    schedule = from_document(MOST)
    assert fingerprint(replace(schedule, description="", source=Source.CODE)) == fingerprint(schedule)


@pytest.mark.parametrize("number", [-1, 6 * 86_400 + 1, True, 1.5])
def test_a_schedule_made_in_code_is_checked_too(number: Any) -> None:
    with pytest.raises(InvalidSchedule, match=r"catch_up_window .* from 0 to 518400 seconds"):
        Schedule("a", "b", Plan(Every(60)), catch_up_window_s=number)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, "\ud800", {"\ud800": 1}, [[2**64]]])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(InvalidSchedule, match="args"):
        from_document({**LEAST, "args": {"one": value}})
