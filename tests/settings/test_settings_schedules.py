"""[schedules.NAME]: what can be written, what it means, and the sentence that says what is wrong."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from settings import ScheduleSettings, Settings, SettingsError, describe, load_settings
from settings.model import CHECKOUT
from tests.settings.conftest import Load, Refused

WHOLE = """
[schedules.rent-run]
actor = "rent_run"
cron = "0 6 L * *"
timezone = "Europe/Berlin"
exclude.dates = [2026-12-25, "2026-12-27/2027-01-02"]
exclude.windows = [{ from = "22:00", to = "06:00", days = "mon-fri" }]
jitter = "30s"
start = 2026-09-01T02:00:00+02:00
end = "2027-01-01T00:00:00Z"
args = { region = "eu", day = "{tick}" }
tenant_id = "acme"
user_id = "ada"
priority = 9
timeout = "10min"
attempts = 2
expires = "1h"
deadline = 1500
gate = "billing"
catch_up = "all"
catch_up_window = "6d"
catch_up_max = 7
overlap = "queue"
enabled = false
description = "Rents"
"""


def test_every_key_is_read_and_given_on_in_the_words_of_the_api(load: Load) -> None:
    assert load(WHOLE).schedules["rent-run"].words() == {
        "actor": "rent_run",
        "cron": "0 6 L * *",
        "timezone": "Europe/Berlin",
        "exclude": {
            "dates": ["2026-12-25", "2026-12-27/2027-01-02"],
            "windows": [{"from": "22:00", "to": "06:00", "days": "mon-fri"}],
        },
        "jitter": "30s",
        "start": "2026-09-01T00:00:00+00:00",
        "end": "2027-01-01T00:00:00+00:00",
        "args": {"region": "eu", "day": "{tick}"},
        "tenant_id": "acme",
        "user_id": "ada",
        "priority": 9,
        "timeout": "600000ms",
        "attempts": 2,
        "expires": "3600000ms",
        "deadline": "1500ms",
        "gate": "billing",
        "catch_up": "all",
        "catch_up_window": "518400s",
        "catch_up_max": 7,
        "overlap": "queue",
        "enabled": False,
        "description": "Rents",
    }
    assert set(load(WHOLE).schedules["rent-run"].words()) | {"every", "at"} == set(
        ScheduleSettings.model_fields
    )


def test_what_is_left_out_is_no_word_and_ones_own_schedule_is_on(load: Load) -> None:
    tick = load('[schedules.beat]\nactor = "beat"\nevery = "90s"').schedules["beat"]
    assert tick.words() == {"actor": "beat", "every": "90s"}
    assert (tick.enabled, tick.catch_up, tick.catch_up_window, tick.overlap) == (
        True,
        "last",
        86_400,
        "allow",
    )


def test_a_time_is_taken_with_its_zone(load: Load) -> None:
    once = load('[schedules.once]\nactor = "a"\nat = 2026-12-24T18:00:00.5+01:00').schedules["once"]
    assert once.at == datetime(2026, 12, 24, 17, tzinfo=UTC)


def test_the_house_catches_up_once_and_never_runs_beside_itself() -> None:
    assert {(one.catch_up, one.overlap) for one in Settings().schedules.values()} == {("last", "skip")}


@pytest.mark.parametrize(
    ("given", "timing"),
    [
        ('every = "1h"', (None, 3_600)),
        ('cron = "@hourly"', ("@hourly", None)),
        ("enabled = true", ("0 9 * * *", None)),
    ],
)
def test_another_timing_takes_the_place_of_the_houses(
    load: Load, given: str, timing: tuple[str | None, int | None]
) -> None:
    reports = load(f"[schedules.scheduled-reports]\n{given}").schedules["scheduled-reports"]
    assert (reports.cron, reports.every) == timing
    assert (reports.actor, reports.overlap) == ("scheduled_reports", "skip")


def test_all_of_it_can_come_from_the_environment(load: Load) -> None:
    beat = load(
        '[schedules.beat]\nactor = "beat"\ncron = "@daily"',
        CALLBOARD_SCHEDULES__BEAT__EXCLUDE__DATES="2026-12-25,2026-12-26",
        CALLBOARD_SCHEDULES__BEAT__EXCLUDE__WINDOWS='[{"from": "12:00", "to": "13:00"}]',
        CALLBOARD_SCHEDULES__BEAT__ARGS='{"n": 1}',
        CALLBOARD_SCHEDULES__BEAT__JITTER="2min",
    ).schedules["beat"]
    assert beat.words() == {
        "actor": "beat",
        "cron": "@daily",
        "exclude": {"dates": ["2026-12-25", "2026-12-26"], "windows": [{"from": "12:00", "to": "13:00"}]},
        "jitter": "120s",
        "args": {"n": 1},
    }


def test_it_is_shown_value_by_value(load: Load) -> None:
    shown = {line.key: line.value for line in describe(load(WHOLE), "schedules.rent-run.")}
    assert shown["schedules.rent-run.exclude.dates"] == "2026-12-25, 2026-12-27/2027-01-02"
    assert shown["schedules.rent-run.exclude.windows"] == "22:00 to 06:00 on mon-fri"
    assert shown["schedules.rent-run.args"] == "region, day", "never the values"
    assert shown["schedules.rent-run.every"] == "(unset)"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "schedules.a must have one of cron, every and at (callboard.toml)."),
        (
            'cron = "@daily"\nevery = "1h"',
            "schedules.a must have one of cron, every and at, not cron and every",
        ),
        ('cron = "* *"', "schedules.a.cron must be a cron of five fields such as \"0 9 * * 1-5\", not '* *'"),
        ('cron = "0 0 9 * * *"', "schedules.a.cron must be a cron of five fields"),
        ('every = "500ms"', 'schedules.a.every must be whole seconds such as "90s" or "5min"'),
        ("every = 0", "schedules.a.every must be at least 1, not 0"),
        ('every = "soon"', "schedules.a.every must be a duration such as"),
        ('at = "2026-12-24T18:00:00"', "schedules.a.at must be a time with its zone such as"),
        ("at = 2026-12-24", "schedules.a.at must be a time with its zone such as"),
        ('cron = "@daily"\nstart = "now"', "schedules.a.start must be a time with its zone such as"),
        (
            'cron = "@daily"\nstart = 2027-01-01T00:00:00Z\nend = 2026-01-01T00:00:00Z',
            "schedules.a must have a start that is not after its end",
        ),
        (
            'cron = "@daily"\ntimezone = "Mars"',
            'schedules.a.timezone must be a time zone such as "Europe/Berlin"',
        ),
        ('cron = "@daily"\nexclude.dates = ["25.12."]', "schedules.a.exclude.dates must be dates such as"),
        (
            'cron = "@daily"\nexclude.dates = ["2026-02-30"]',
            "schedules.a.exclude.dates must be dates such as",
        ),
        (
            'cron = "@daily"\nexclude.dates = ["2026-12-27/2026-12-25"]',
            "schedules.a.exclude.dates must be dates such as",
        ),
        (
            'cron = "@daily"\nexclude.windows = [{ from = "9", to = "10:00" }]',
            'must have from and to as times of the day such as "22:00"',
        ),
        (
            'cron = "@daily"\nexclude.windows = [{ from = "09:00", to = "10:00", day = "mon" }]',
            "must not have 'day'; a window has from, to and days",
        ),
        ('cron = "@daily"\nexclude.date = []', "Unknown key schedules.a.exclude.date in callboard.toml"),
        ('cron = "@daily"\npriority = 11', "schedules.a.priority must be at most 10, not 11"),
        ('cron = "@daily"\ntimeout = 0', "schedules.a.timeout must be at least 1, not 0"),
        ('cron = "@daily"\ncatch_up = "some"', "schedules.a.catch_up must be one of 'skip', 'last' or 'all'"),
        ('cron = "@daily"\ncatch_up_window = "7d"', "schedules.a.catch_up_window must be at most 518400"),
        (
            'cron = "@daily"\noverlap = "wait"',
            "schedules.a.overlap must be one of 'allow', 'skip' or 'queue'",
        ),
        ('cron = "@daily"\ntimezon = "UTC"', "did you mean schedules.a.timezone?"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_key(refused: Refused, line: str, said: str) -> None:
    assert said in refused(f'[schedules.a]\nactor = "a"\n{line}')


def test_a_name_that_could_be_no_part_of_an_id_is_refused(refused: Refused) -> None:
    said = refused("[schedules.'rent run']\nactor = 'a'\nevery = 1")
    assert said.startswith("schedules.rent run must be a letter or digit and up to 63 letters")


def test_the_example_shows_every_key() -> None:
    text = (CHECKOUT / "docs" / "callboard.example.toml").read_text(encoding="utf-8")
    section = text.partition("[schedules.scheduled-reports]")[2].partition("[schedules.rent-run]")[0]
    assert [key for key in ScheduleSettings.model_fields if f"{key} = " not in section] == []


def test_what_the_example_has_commented_out_can_be_switched_on(tmp_path: Path) -> None:
    text = (CHECKOUT / "docs" / "callboard.example.toml").read_text(encoding="utf-8")
    section = text.partition("[schedules.scheduled-reports]")[2].partition("[tenants.acme]")[0]
    lines = [line.removeprefix("# ") for line in section.splitlines() if " = " in line or "[" in line]
    whole = [line for line in lines if not line.startswith(("every", "at "))]
    (tmp_path / "callboard.toml").write_text("[schedules.scheduled-reports]\n" + "\n".join(whole))
    try:
        schedules = load_settings({}, tmp_path).schedules
    except SettingsError as error:
        pytest.fail(str(error))
    assert schedules["scheduled-reports"].exclude.windows[0].days == "mon-fri"
    assert schedules["rent-run"].enabled
