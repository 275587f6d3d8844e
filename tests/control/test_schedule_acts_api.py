"""Schedules over HTTP: paused, run, deleted, listed. Against a real uvicorn and SQLite."""

from datetime import UTC, datetime
from itertools import pairwise

from database.audit import AuditWriter
from database.schedule_history import ScheduleHistory
from database.schedules import Schedules
from jobs.memory import MemoryStore
from jobs.model import Outcome
from tests.control.asking import error_of
from tests.control.board import work
from tests.control.schedule_desk import NINE, URL, api, app, create, tick_row

__all__ = ["api", "app"]


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


def test_the_history_of_a_deleted_one_can_be_read(api):
    create(api, "brief")
    api.post(f"{URL}/brief/run")
    api.delete(f"{URL}/brief")

    assert len(api.get(f"{URL}/brief/history").json()["ticks"]) == 1
    assert api.get(f"{URL}/never/history").status_code == 404
