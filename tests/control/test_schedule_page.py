"""docs/scheduling.md: what it shows is so."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from actors import app
from database.migrations import migrate
from jobs.schedules import from_document
from jobs.times.cron import Cron
from jobs.times.plan import Plan
from scheduling.book import Book, State
from settings import Settings
from tests.sealed import KEY_VARIABLE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scheduling.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^    callboard (.*)\n((?:      .*\n)*)", PAGE, re.MULTILINE)
BERLIN = "Europe/Berlin"


def block(mark, language):
    """The fenced block under a mark."""
    (found,) = re.findall(rf"<!-- {mark} -->\n```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return found


def test_the_commands_of_the_page_work_in_their_order_and_say_what_is_shown(here, memory):
    migrate(app.engine())
    assert len(SHOWN) >= 10
    for shown, output in SHOWN:
        result = here(*shlex.split(shown, comments=True))

        assert result.returncode == 0, (shown, result.stderr)
        assert result.stdout
        told = [line.removeprefix("      ") for line in output.splitlines()]
        fixed = "--after" in shown
        for expected, line in zip(told, result.stdout.splitlines(), strict=bool(told)):
            assert _shape(line, fixed) == _shape(expected, fixed)


def test_the_actor_of_the_page_has_the_schedule_that_is_told():
    script = block("code", "python") + (
        "\nfrom jobs.times.words import in_words\n"
        "schedule = page_mail_sync.options['schedule']\n"
        "print(schedule.name, '|', in_words(schedule.plan), '|', schedule.overlap.value)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", "import actors\n" + script],
        cwd=ROOT,
        env={**os.environ, **KEY_VARIABLE},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ran.returncode == 0, ran.stderr
    words = "every 15 minutes from 06:00 to 22:45, Europe/Berlin"
    assert ran.stdout == f"page_mail_sync | {words} | skip\n"


def test_the_settings_of_the_page_are_a_schedule_that_can_fire(memory, monkeypatch):
    given = tomllib.loads(block("settings", "toml"))
    settings = Settings(home=app.settings.home, schedules=given["schedules"])
    monkeypatch.setattr(app, "settings", settings)
    migrate(app.engine())

    entry = Book(app).entry("nightly-report")

    assert (entry.state, entry.flaw) == (State.ACTIVE, None)


def test_each_row_of_the_clock_is_so():
    (table,) = re.findall(r"<!-- clock -->\n(.*?)\n\n", PAGE, re.DOTALL)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    day, seen = None, 0
    for when, cron, told in rows:
        if when:
            number, month = re.match(r"(\d+) (\w+)", when).groups()
            day = datetime(2026, {"March": 3, "October": 10}[month], int(number), tzinfo=UTC)
        plan = Plan(Cron.parse(cron.strip("`"), BERLIN), BERLIN)
        ticks = plan.between(day.replace(hour=0), day.replace(hour=3), 10)
        expected = re.findall(r"\d\d:\d\d", told.partition(":  ")[0].partition(" : ")[0])
        assert [f"{tick:%H:%M}" for tick in ticks][: len(expected)] == expected, (cron, ticks)
        assert len(ticks) == (3 if "…" in told else 1)
        seen += 1
    assert seen == 6


@pytest.mark.parametrize("word", ["on", "paused", "off", "flawed", "gone", "ended"])
def test_every_state_is_explained(word):
    from control.service.schedule_reading import STATES

    assert f"\n| {word} | " in PAGE
    assert word in STATES.values()


def test_the_example_of_an_id_is_what_a_tick_gets():
    from jobs.schedules import tick_id

    tick = datetime(2026, 11, 23, 8, tzinfo=UTC)
    assert tick_id("mail", tick) in PAGE
    schedule = {"name": "mail", "actor": "email_sync", "cron": "0 9 * * mon-fri", "timezone": BERLIN}
    assert from_document(schedule).plan.next_after(datetime(2026, 11, 22, 12, tzinfo=UTC)) == tick


def _shape(line, fixed):
    """A line without what depends on the day."""
    if fixed:
        return line
    line = re.sub(r"\b(Mon|Tue|Wed|Thu|Fri)\b(?= \d)", "DAY", line)
    line = re.sub(r"\d{4}-\d\d-\d\d", "DATE", line)
    return re.sub(r"\+0[12]:00|0[78]:00:00 UTC", "ZONE", line)
