"""Schedules over HTTP: created, changed, paused, run, looked at. Against a real uvicorn and SQLite."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from sqlalchemy import delete

from database.audit import AuditWriter
from database.engine import write_session
from database.models import ScheduleTick
from database.operator_actions import OperatorActions
from database.schedule_history import ScheduleHistory, TickRow
from database.schedules import Schedules
from jobs.memory import MemoryStore
from jobs.model import Outcome
from scheduling.book import Book, State
from tests.control.asking import error_of
from tests.control.board import work

SYNC = {"userId": "u1", "accountId": "a1"}
BERLIN = "Europe/Berlin"
NINE = {"actor": "email_sync", "cron": "0 9 * * mon-fri", "timezone": BERLIN, "args": SYNC}
URL = "/api/v1/schedules"


@pytest.fixture
def api(api, served):
    """Without the schedules that other tests have left."""
    book = Book(served[0])
    for entry in book.entries():
        if entry.editable:
            book.delete(entry.name, "test")
        elif entry.state is State.PAUSED:
            book.resume(entry.name, "test")
    with write_session(served[0].engine()) as session:
        session.execute(delete(ScheduleTick))
    return api


@pytest.fixture
def app(served):
    return served[0]


def create(api, name="mail", **more):
    return api.post(URL, json={"name": name, **NINE, **more})


def acts(app):
    """What the audit says was done, the oldest first, with whom and what."""
    rows = OperatorActions(app.engine()).read()
    return [(row.operator, row.action, row.target, row.failed) for row in reversed(rows)]


class TestSaving:
    def test_a_schedule_is_told_in_words_with_its_next_ticks(self, api):
        answer = create(api)

        assert answer.status_code == 201
        assert answer.headers["location"] == f"{URL}/mail"
        view = answer.json()
        assert view["words"] == "at 09:00, Monday to Friday, Europe/Berlin"
        assert (view["state"], view["source"], view["version"]) == ("on", "runtime", 1)
        assert (view["actor"], view["queue"], view["timezone"]) == (
            "email_sync",
            "email-sync",
            BERLIN,
        )
        assert view["cron"] == "0 9 * * mon-fri"
        assert view["args"] == {"user_id": "u1", "account_id": "a1"}
        assert (view["catchUp"], view["overlap"], view["createdBy"]) == ("last", "allow", "api")
        assert view["lastTick"] is None
        assert len(view["next"]) == 3
        for one in view["next"]:
            assert datetime.fromisoformat(one["tick"]).hour in (7, 8)  # nine o'clock in Berlin
            assert "09:00" in one["local"]
        assert api.get(f"{URL}/mail").json() == view

    def test_a_taken_name_is_refused(self, api):
        create(api)

        answer = create(api)

        assert (answer.status_code, error_of(answer).code) == (409, "taken")
        assert "mail" in error_of(answer).message

    def test_to_put_creates_then_replaces_and_the_same_twice_is_one(self, api):
        assert api.put(f"{URL}/mail", json=NINE).status_code == 201
        again = api.put(f"{URL}/mail", json=NINE)
        other = api.put(f"{URL}/mail", json={**NINE, "cron": "30 8 * * *"})

        assert (again.status_code, again.json()["version"]) == (200, 1)
        assert (other.status_code, other.json()["version"]) == (200, 2)
        assert other.json()["words"] == "at 08:30 every day, Europe/Berlin"

    def test_a_change_leaves_what_it_does_not_name(self, api):
        create(api, tenantId="acme", overlap="skip", timeout="2min")

        view = api.patch(f"{URL}/mail", json={"every": "90s", "overlap": None}).json()

        assert (view["every"], view["cron"]) == ("90s", None)
        assert view["words"].startswith("every 90 seconds")
        assert view["overlap"] == "allow"
        assert view["options"] == {"tenantId": "acme", "timeout": "2min"}
        assert view["args"] == {"user_id": "u1", "account_id": "a1"}

    def test_who_has_seen_an_older_version_does_not_overwrite(self, api):
        create(api)
        api.patch(f"{URL}/mail", json={"cron": "0 8 * * *", "version": 1})

        for answer in (
            api.patch(f"{URL}/mail", json={"cron": "0 7 * * *", "version": 1}),
            api.put(f"{URL}/mail", json={**NINE, "version": 1}),
            api.delete(f"{URL}/mail?version=1"),
        ):
            assert (answer.status_code, error_of(answer).code) == (409, "changed")
        assert api.get(f"{URL}/mail").json()["cron"] == "0 8 * * *"

    def test_a_deleted_one_is_gone(self, api):
        create(api)

        assert api.delete(f"{URL}/mail").json() == {"name": "mail", "deleted": True}
        for answer in (api.get(f"{URL}/mail"), api.delete(f"{URL}/mail"), api.post(f"{URL}/mail/run")):
            assert (answer.status_code, error_of(answer).code) == (404, "unknown_schedule")

    def test_every_act_is_in_the_audit_with_who_did_it(self, api, app):
        before = len(acts(app))
        create(api)
        api.patch(f"{URL}/mail", json={"cron": "0 8 * * *"})
        api.post(f"{URL}/mail/pause")
        api.post(f"{URL}/mail/resume")
        api.post(f"{URL}/mail/run")
        api.delete(f"{URL}/mail")

        done = ("create", "change", "pause", "resume", "run", "delete")
        assert acts(app)[before:] == [("api", f"schedule.{verb}", "mail", False) for verb in done]

    def test_the_audit_has_the_names_of_arguments_and_not_their_values(self, api, app):
        create(api, args={"userId": "hunter2", "accountId": "a1"})

        (row,) = OperatorActions(app.engine()).read(limit=1)

        assert row.parameters["arguments"] == ["account_id", "user_id"]
        assert "hunter2" not in str(row)


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"cron": "0 25 * * *"}, "cron", "hour"),
        ({"cron": "0 0 30 2 *"}, "cron", "never"),
        ({"cron": None}, None, "cron"),
        ({"every": "90s"}, None, "one of"),
        ({"timezone": "Europe/Berlyn"}, "timezone", BERLIN),
        ({"cron": None, "every": "0s"}, "every", "1s"),
        ({"jitter": "soon"}, "jitter", "duration"),
        ({"catchUp": "some"}, "catchUp", "'skip', 'last' or 'all'"),
        ({"catchUpWindow": "7d"}, "catchUpWindow", "6d"),
        ({"catchUpMax": 0}, "catchUpMax", "greater"),
        ({"overlap": "perhaps"}, "overlap", "'allow', 'skip' or 'queue'"),
        ({"priority": 11}, "priority", "10"),
        ({"tenantId": "a\x7fb"}, "tenantId", "printable"),
        ({"args": {"userId": "u1"}}, "account_id", "required"),
        ({"args": {**SYNC, "full": "perhaps"}}, "full", "boolean"),
        ({"args": {"userId": "{tock}", "accountId": "a1"}}, "args", "{tick}"),
        ({"exclude": {"dates": ["2026-13-01"]}}, "exclude.dates", "day"),
        ({"exclude": {"windows": [{"from": "25:00", "to": "06:00"}]}}, "exclude.windows.from", "24:00"),
        ({"start": "2026-12-01"}, "start", "timezone"),
        ({"chron": "0 9 * * *"}, "chron", "did you mean cron?"),
    ],
)
def test_what_is_wrong_is_named_and_not_kept(api, change, field, says):
    body = {name: value for name, value in {**NINE, "name": "mail", **change}.items() if value is not None}

    answer = api.post(URL, json=body)

    assert answer.status_code == 422
    assert error_of(answer).field == field
    assert says in error_of(answer).message
    assert api.get(f"{URL}/mail").status_code == 404


def test_an_unknown_actor_is_told_with_the_nearest(api):
    answer = create(api, actor="email_sinc")

    assert (answer.status_code, error_of(answer).code) == (404, "unknown_actor")
    assert "did you mean 'email_sync'?" in error_of(answer).message


def test_a_refusal_never_repeats_a_value_of_an_argument(api):
    answer = create(api, args={"userId": {"password": "hunter2"}, "accountId": "a"})

    assert answer.status_code == 422
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("name", ["a b", "-a", "a" * 65, "ä"])
def test_a_name_that_cannot_be_one_is_refused(api, name):
    assert create(api, name).status_code == 422
    assert api.put(f"{URL}/{name}", json=NINE).status_code == 422


class TestOperating:
    def test_a_paused_one_says_by_whom_and_fires_nothing(self, api):
        create(api)

        paused = api.post(f"{URL}/mail/pause").json()

        assert (paused["state"], paused["pausedBy"], paused["next"]) == ("paused", "api", [])
        assert "by api" in paused["reason"]
        assert api.post(f"{URL}/mail/pause").json()["pausedAt"] == paused["pausedAt"]
        assert len(api.get(f"{URL}/mail/next").json()["next"]) == 5
        resumed = api.post(f"{URL}/mail/resume").json()
        assert (resumed["state"], resumed["pausedAt"], len(resumed["next"])) == ("on", None, 3)

    def test_to_run_gives_the_id_of_a_job_whose_arguments_are_filled(self, api, app):
        create(api, args={"userId": "{schedule}", "accountId": "{tick}"}, tenantId="acme")

        ran = api.post(f"{URL}/mail/run").json()

        job = api.get(f"/api/v1/jobs/{ran['jobId']}").json()
        assert (job["queue"], job["tenantId"]) == ("email-sync", "acme")
        assert job["data"]["user_id"] == "mail"
        assert datetime.fromisoformat(job["data"]["account_id"]) == datetime.fromisoformat(ran["tick"])

    def test_a_paused_one_can_be_run(self, api):
        create(api)
        api.post(f"{URL}/mail/pause")

        assert api.post(f"{URL}/mail/run").status_code == 200

    def test_the_history_has_each_run_with_what_became_of_its_job(self, api, app):
        create(api)
        ran = api.post(f"{URL}/mail/run").json()

        (before,) = api.get(f"{URL}/mail/history").json()["ticks"]
        work(app.store, "email-sync", Outcome.FAILED, b'{"error": {"type": "Timeout"}}')
        (after,) = api.get(f"{URL}/mail/history").json()["ticks"]

        assert (before["jobId"], before["outcome"], before["kind"]) == (ran["jobId"], "enqueued", "run")
        assert (before["by"], before["jobOutcome"]) == ("api", "waiting")
        assert after["jobOutcome"] == "failed"
        assert api.get(f"{URL}/mail").json()["lastTick"] == after

    def test_a_job_that_the_store_has_forgotten_is_known_from_the_audit(self, api, app, store):
        create(api)
        store.read_events("audit", "one")  # from now on they are kept for it
        api.post(f"{URL}/mail/run")
        work(store, "email-sync")
        AuditWriter(app.engine()).write(store.read_events("audit", "one").events)
        app.broker.store = MemoryStore()

        (one,) = api.get(f"{URL}/mail/history").json()["ticks"]

        assert one["jobOutcome"] == "completed"

    def test_the_history_comes_in_pages_the_newest_first(self, api, app):
        create(api)
        rows = [tick_row("mail", minute) for minute in range(5)]
        ScheduleHistory(app.engine()).add(rows)

        first = api.get(f"{URL}/mail/history?limit=2").json()
        second = api.get(f"{URL}/mail/history", params={"limit": 2, "after": first["next"]}).json()
        last = api.get(f"{URL}/mail/history", params={"limit": 2, "after": second["next"]}).json()

        pages = (first, second, last)
        seen = [datetime.fromisoformat(one["tick"]).minute for page in pages for one in page["ticks"]]
        assert seen == [4, 3, 2, 1, 0]
        assert last["next"] is None
        assert first["ticks"][0]["lateMs"] == 40
        assert api.get(f"{URL}/mail/history?after=x").status_code == 422

    def test_the_ticks_to_come_are_asked_from_any_moment(self, api):
        create(api)

        view = api.get(f"{URL}/mail/next", params={"count": 2, "after": "2026-03-27T12:00:00Z"}).json()

        assert view["words"] == "at 09:00, Monday to Friday, Europe/Berlin"
        ticks = [datetime.fromisoformat(one["tick"]) for one in view["next"]]
        assert ticks == [datetime(2026, 3, day, 7, tzinfo=UTC) for day in (30, 31)]  # summer time by then

    def test_a_one_off_whose_time_is_over_has_ended(self, api, app):
        create(api, cron=None, at="2100-01-01T00:00:00Z")
        over = datetime(2100, 1, 1, tzinfo=UTC)
        Schedules(app.engine()).edit("mail", {"cursor": over}, "scheduler", at=over)

        view = api.get(f"{URL}/mail").json()
        assert (view["state"], view["next"]) == ("ended", [])

    def test_one_whose_time_is_over_is_not_taken(self, api):
        answer = create(api, cron=None, at="2020-01-01T00:00:00Z")

        assert answer.status_code == 422
        assert error_of(answer).field == "at"
        assert api.get(f"{URL}/mail").status_code == 404

    def test_one_that_is_off_says_so(self, api):
        assert create(api, enabled=False).json()["state"] == "off"


class TestListing:
    def test_all_are_there_by_name_in_pages(self, api):
        for name in ("c", "a", "b"):
            create(api, name)

        whole = [one["name"] for one in api.get(f"{URL}?source=runtime").json()["schedules"]]
        first = api.get(f"{URL}?source=runtime&limit=2").json()
        second = api.get(f"{URL}?source=runtime&limit=2&after={first['next']}").json()

        assert whole == ["a", "b", "c"]
        assert [one["name"] for one in first["schedules"]] == ["a", "b"]
        assert [one["name"] for one in second["schedules"]] == ["c"]
        assert second["next"] is None
        names = [one["name"] for one in api.get(URL).json()["schedules"]]
        assert all(before < after for before, after in pairwise(names))

    def test_they_are_filtered(self, api):
        create(api, "a")
        create(api, "b", actor="count", args={"upto": 3})
        api.post(f"{URL}/b/pause")

        def names(query):
            return [one["name"] for one in api.get(f"{URL}?source=runtime&{query}").json()["schedules"]]

        assert names("actor=count") == names("state=paused") == ["b"]
        assert names("state=on") == ["a"]
        assert api.get(f"{URL}?state=asleep").status_code == 422


class TestDeclaredElsewhere:
    """`maintenance-logs` is declared by the settings of each installation."""

    NAME = "maintenance-logs"

    def test_it_is_shown_with_where_it_is_from(self, api):
        view = api.get(f"{URL}/{self.NAME}").json()

        assert (view["source"], view["cron"]) == ("settings", "30 2 * * *")

    def test_it_can_be_paused_and_resumed(self, api):
        assert api.post(f"{URL}/{self.NAME}/pause").json()["pausedBy"] == "api"
        assert api.post(f"{URL}/{self.NAME}/resume").json()["pausedAt"] is None
        assert api.get(f"{URL}/{self.NAME}/next").json()["next"]
        assert api.get(f"{URL}/{self.NAME}/history").status_code == 200

    def test_it_is_changed_in_the_settings_alone(self, api):
        for answer in (
            api.put(f"{URL}/{self.NAME}", json=NINE),
            api.patch(f"{URL}/{self.NAME}", json={"cron": "0 1 * * *"}),
            api.delete(f"{URL}/{self.NAME}"),
        ):
            assert (answer.status_code, error_of(answer).code) == (409, "not_editable")
            assert f"schedules.{self.NAME}" in error_of(answer).message

    def test_one_whose_actor_is_not_here_is_flawed_and_says_why(self, api):
        view = api.get(f"{URL}/{self.NAME}").json()  # this board has three actors only

        assert view["state"] == "flawed"
        assert "maintenance_logs" in view["reason"]
        assert api.post(f"{URL}/{self.NAME}/run").status_code == 409


class TestPreview:
    def test_the_change_of_the_clock_is_shown_and_nothing_is_kept(self, api):
        body = {
            "cron": "30 2 * * *",
            "timezone": BERLIN,
            "after": "2026-03-28T12:00:00Z",
            "count": 2,
        }

        view = api.post(f"{URL}/preview", json=body).json()

        assert view["words"] == "at 02:30 every day, Europe/Berlin"
        assert [one["tick"] for one in view["next"]] == ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
        assert view["next"][0]["note"]
        assert view["next"][1]["note"] is None
        assert api.get(f"{URL}?source=runtime").json()["schedules"] == []

    def test_what_could_never_fire_is_refused(self, api):
        answer = api.post(f"{URL}/preview", json={"cron": "0 0 30 2 *"})

        assert (answer.status_code, error_of(answer).field) == (422, "cron")


def test_the_metrics_count_schedules_by_state(api, app):
    def counted(state):
        (line,) = [
            one for one in api.get("/metrics").text.splitlines() if f'schedules{{state="{state}"}}' in one
        ]
        return float(line.split()[1])

    on, paused = counted("on"), counted("paused")
    for name in ("a", "b", "c"):
        create(api, name)
    api.post(f"{URL}/b/pause")
    ScheduleHistory(app.engine()).add([tick_row("a", 0, at=datetime.now(UTC))])

    assert (counted("on") - on, counted("paused") - paused) == (2, 1)
    lines = api.get("/metrics").text.splitlines()
    assert "callboard_schedule_lateness_seconds_max 0.04" in lines
    assert "callboard_schedule_ticks_last_minute 1.0" in lines
    assert not [line for line in lines if 'schedule="' in line]  # there may be many thousands of them


def tick_row(schedule, minute, at=None):
    tick = at or datetime(2026, 3, 1, 8, minute, tzinfo=UTC)
    return TickRow(schedule, "tick", tick, tick, "enqueued", f"cron:{schedule}:{minute}", tick, 40)


def test_numbers_that_do_not_fit_and_moments_before_the_calendar_are_refused(api):
    first = "0001-01-01T00:00:00+05:00"
    create(api, "early")

    for answer in (
        create(api, args={**SYNC, "userId": 2**65}),
        api.get(f"{URL}/early/next", params={"after": first}),
        api.get(f"{URL}/early/history", params={"after": first}),
        api.post(f"{URL}/preview", json={"cron": "0 9 * * *", "after": first}),
    ):
        assert answer.status_code in (400, 422), answer.text


def test_the_history_of_a_deleted_one_can_be_read(api):
    create(api, "brief")
    api.post(f"{URL}/brief/run")
    api.delete(f"{URL}/brief")

    assert len(api.get(f"{URL}/brief/history").json()["ticks"]) == 1
    assert api.get(f"{URL}/never/history").status_code == 404
