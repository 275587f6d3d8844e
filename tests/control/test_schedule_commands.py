"""`callboard schedules`: each act is told in plain English with the next ticks."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from actors import app
from database.migrations import migrate
from database.operator_actions import OperatorActions
from jobs.schedules import tick_id
from jobs.states import JobState
from scheduling.book import Book
from scheduling.firing import fire
from tests.control.running import refused

SYNC = ("user_id=u1", "account_id=a1")
NINE = ("--cron", "0 9 * * mon-fri", "--timezone", "Europe/Berlin")


@pytest.fixture
def ready(memory):
    """A store in memory, and a database with all tables."""
    migrate(app.engine())
    return memory


@pytest.fixture
def mail(here, ready):
    """A schedule of working days at nine."""
    answer = here("schedules", "add", "mail", "email_sync", *SYNC, *NINE)
    assert answer.returncode == 0, answer.stderr
    return answer


def shown(here, name="mail"):
    return json.loads(here("schedules", "show", name, "--json").stdout)


def test_a_new_one_is_echoed_in_words_with_three_ticks(mail):
    first, *ticks = mail.stdout.splitlines()

    assert first == "mail (on): at 09:00, Monday to Friday, Europe/Berlin"
    assert len(ticks) == 3
    for line in ticks:
        assert re.fullmatch(r"  next \w{3} \S+ 09:00:00\+0[12]:00   \S+ 0[78]:00:00 UTC", line), line


def test_what_is_wrong_is_one_sentence_and_nothing_is_kept(here, ready):
    def refusal(*arguments):
        return refused(here("schedules", "add", "mail", *arguments))

    assert "hour" in refusal("email_sync", *SYNC, "--cron", "0 25 * * *")
    assert "account_id" in refusal("email_sync", "user_id=u1", *NINE)
    assert "did you mean 'email_sync'" in refusal("email_sinc", *SYNC, *NINE)
    assert "one of" in refusal("email_sync", *SYNC)
    assert "2026-12-01T08:00" in refusal("email_sync", *SYNC, "--at", "tomorrow")
    assert "22:00-06:00" in refusal("email_sync", *SYNC, *NINE, "--exclude-window", "night")
    assert "no zone" in refusal("email_sync", *SYNC, "--at", "2026-12-01T08:00", "--timezone", "Mars/Base")
    assert here("schedules", "list", "--source", "runtime").stdout == "no schedule fits\n"
    assert "mail" in refused(here("schedules", "show", "mail"))


def test_the_list_tells_why_one_cannot_run_but_not_of_those_that_are_off(here, ready):
    reason = "scheduled-reports: There is no actor named"

    assert reason not in here("schedules", "list").stdout
    assert "There is no actor named" in here("schedules", "show", "scheduled-reports").stdout


def test_a_one_off_is_by_the_clock_of_its_zone(here, ready):
    when = ("--at", "2031-07-01T08:00", "--timezone", "Europe/Berlin")

    here("schedules", "add", "once", "email_sync", *SYNC, *when)

    assert shown(here, "once")["at"] == "2031-07-01T06:00:00Z"


def test_all_options_reach_the_schedule(here, ready):
    options = {
        "--tenant": "acme",
        "--user": "u7",
        "--priority": "2",
        "--timeout": "2min",
        "--attempts": "3",
        "--expires": "10min",
        "--deadline": "1h",
        "--catch-up": "all",
        "--catch-up-window": "6h",
        "--catch-up-max": "7",
        "--overlap": "skip",
        "--jitter": "30s",
        "--start": "2026-01-01T00:00",
        "--end": "2040-01-01T00:00",
        "--exclude-date": "2030-12-25",
        "--exclude-window": "22:00-06:00 mon-fri",
        "--description": "the mailbox of u1",
    }
    words = [word for pair in options.items() for word in pair]

    answer = here("schedules", "add", "mail", "email_sync", *SYNC, *NINE, *words, "--off")

    assert answer.returncode == 0, answer.stderr
    view = shown(here)
    assert view["state"] == "off"
    assert view["options"] == {
        "tenantId": "acme",
        "userId": "u7",
        "priority": 2,
        "timeout": "2min",
        "attempts": 3,
        "expires": "10min",
        "deadline": "1h",
    }
    assert (view["catchUp"], view["catchUpWindow"], view["catchUpMax"]) == ("all", "6h", 7)
    assert (view["overlap"], view["jitter"], view["description"]) == ("skip", "30s", "the mailbox of u1")
    assert view["exclude"] == {
        "dates": ["2030-12-25"],
        "windows": [{"from": "22:00", "to": "06:00", "days": "mon-fri"}],
    }
    assert view["start"] == "2025-12-31T23:00:00Z"


def test_an_edit_leaves_what_it_does_not_name_and_none_takes_away(here, mail):
    here("schedules", "edit", "mail", "--tenant", "acme", "--exclude-date", "2030-12-25")

    answer = here("schedules", "edit", "mail", "--every", "90s", "--exclude-date", "none", "--on")

    assert answer.stdout.startswith("mail (on): every 90 seconds")
    view = shown(here)
    assert (view["cron"], view["exclude"], view["options"]) == (None, None, {"tenantId": "acme"})
    assert view["args"] == {"user_id": "u1", "account_id": "a1"}
    here("schedules", "edit", "mail", "user_id=u2", "account_id=a2", "--tenant", "none")
    assert shown(here)["args"] == {"user_id": "u2", "account_id": "a2"}
    assert shown(here)["options"] == {}
    assert "was changed since" in refused(
        here("schedules", "edit", "mail", "--every", "60s", "--version", "1")
    )
    assert "give at least one" in refused(here("schedules", "edit", "mail"))


def test_they_are_listed_with_words_state_and_next(here, mail):
    here("schedules", "pause", "mail")

    lines = here("schedules", "list", "--source", "runtime").stdout.splitlines()

    assert lines[0].split()[:3] == ["schedule", "when", "state"]
    assert lines[1].startswith("mail")
    assert "at 09:00, Monday to Friday, Europe/Berlin" in lines[1]
    assert "paused" in lines[1]
    assert here("schedules", "list", "--state", "ended").stdout == "no schedule fits\n"


def test_pausing_and_resuming_are_told(here, mail):
    assert "mail (paused: since " in here("schedules", "pause", "mail").stdout
    assert here("schedules", "resume", "mail").stdout.startswith("mail (on): ")


def test_run_prints_the_id_of_the_job_and_history_shows_it(here, mail, ready):
    job_id = here("schedules", "run", "mail").stdout.strip()

    assert ready.get(job_id).actor == "email_sync"
    (row,) = here("schedules", "history", "mail").stdout.splitlines()[1:]
    assert job_id in row
    assert "waiting" in row
    assert json.loads(here("schedules", "history", "mail", "--json").stdout)["ticks"][0]["jobId"] == job_id


def test_one_that_never_fired_has_no_history(here, mail):
    assert here("schedules", "history", "mail").stdout == "mail has had no tick yet\n"


def test_next_shows_so_many(here, mail):
    lines = here("schedules", "next", "mail", "--count", "4").stdout.splitlines()

    assert lines[0] == "mail: at 09:00, Monday to Friday, Europe/Berlin"
    assert len(lines) == 5


def test_deleting_needs_a_yes(here, mail):
    assert "add --yes" in here("schedules", "delete", "mail").stdout
    assert shown(here)["name"] == "mail"
    assert here("schedules", "delete", "mail", "--yes").stdout == "deleted mail\n"
    assert "mail" in refused(here("schedules", "show", "mail"))


def test_preview_says_what_a_change_of_the_clock_does(here, ready):
    when = (
        "--cron",
        "30 2 * * *",
        "--timezone",
        "Europe/Berlin",
        "--after",
        "2026-10-24T12:00",
        "--count",
        "2",
    )

    lines = here("schedules", "preview", *when).stdout.splitlines()

    assert lines[0] == "at 02:30 every day, Europe/Berlin"
    assert "2026-10-25 00:30:00 UTC   " in lines[1]  # the first of the two, with a note
    assert lines[2].endswith("2026-10-26 01:30:00 UTC")


def test_who_did_it_is_in_the_audit(here, mail):
    (act,) = OperatorActions(app.engine()).read(limit=1)

    assert (act.action, act.target, act.failed) == ("schedule.create", "mail", False)
    assert "@" in act.operator
    assert act.began_at <= datetime.now(UTC)


def test_a_state_that_there_is_not_is_told_with_those_there_are(here, ready):
    answer = here("schedules", "list", "--state", "bogus")

    assert answer.returncode == 2
    assert "gone" in answer.stderr


def test_the_list_says_that_the_scheduler_has_not_read_a_declared_one(here, ready):
    assert "maintenance-logs: new: restart the scheduler" in here("schedules", "list").stdout


def test_a_pause_takes_back_what_lies_ready_in_the_job_store(here, reached, monkeypatch):
    monkeypatch.setattr("scheduling.taking_back.MOST_AHEAD_S", 3_600)  # so that there is time for the pause
    migrate(app.engine())
    assert here("schedules", "add", "soon", "email_sync", *SYNC, "--every", "10min").returncode == 0
    schedule, now = Book(app).entry("soon").schedule, datetime.now(UTC)
    tick = schedule.plan.next_after(now + timedelta(seconds=60))
    fire(app, schedule, tick, now)  # as a scheduler does a moment before
    assert reached.get(tick_id("soon", tick)).state is JobState.DELAYED

    assert here("schedules", "pause", "soon").returncode == 0

    assert reached.get(tick_id("soon", tick)) is None
    assert fire(app, schedule, tick, now).created  # its id is free again
