"""Schedules over HTTP: created, changed, refused. Against a real uvicorn and SQLite."""

from datetime import datetime

import pytest

from database.operator_actions import OperatorActions
from tests.control.asking import error_of
from tests.control.schedule_desk import BERLIN, NINE, SYNC, URL, acts, api, app, create

__all__ = ["api", "app"]


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
