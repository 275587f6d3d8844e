"""What a job logged, over HTTP and on the command line."""

from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from jobs.errors import KeyMissing
from jobs.model import FetchRequest, LogChunk, Outcome, Verdict
from tests.control.asking import SYNC, post


def a_logged_job(api: Any, store: Any, attempts: int = 2) -> str:
    job_id = str(post(api, queue="email-sync", data=SYNC).json()["id"])
    for attempt in range(1, attempts + 1):
        (held,) = store.fetch(FetchRequest("w1", f"t{attempt}", 1, {"email-sync": 1})).jobs
        lines = [
            {"at": 1_767_225_600_000, "level": "info", "message": f"run {attempt}", "values": {"rows": 4}},
            {"at": 1_767_225_600_500, "level": "error", "message": "a \x1b[2J line"},
        ]
        chunk = LogChunk(job_id, held.token, attempt, 0, 2, orjson.dumps(lines))
        store.add_log("w1", [chunk])
        outcome = Outcome.COMPLETED if attempt == attempts else Outcome.RETRY
        store.settle("w1", [Verdict(job_id, held.token, outcome)])
    return job_id


def test_the_log_has_its_own_address(api: Any, store: Any) -> None:
    job_id = a_logged_job(api, store)
    response = api.get(f"/api/v1/jobs/{job_id}/logs")
    assert response.status_code == 200
    first, second = response.json()
    assert (first["attempt"], second["attempt"], first["dropped"]) == (1, 2, 0)
    assert first["lines"][0] == {
        "at": "2026-01-01T00:00:00Z",
        "level": "info",
        "message": "run 1",
        "values": {"rows": 4},
    }


def test_a_job_that_logged_nothing_has_an_empty_log(api: Any) -> None:
    job_id = post(api, queue="email-sync", data=SYNC).json()["id"]
    assert api.get(f"/api/v1/jobs/{job_id}/logs").json() == []


def test_the_log_of_an_unknown_job_is_not_found(api: Any) -> None:
    assert api.get("/api/v1/jobs/nobody/logs").status_code == 404


def test_what_cannot_be_opened_hides_nothing_else(
    api: Any, store: Any, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, job_id = served[0], a_logged_job(api, store)
    real, calls = app.broker.codec.open_note, [0]

    def once(kind: str, job: Any, stored: bytes) -> Any:
        calls[0] += 1
        if calls[0] == 1:
            raise KeyMissing("the key is gone")
        return real(kind, job, stored)

    monkeypatch.setattr(app.broker.codec, "open_note", once)
    first, second = api.get(f"/api/v1/jobs/{job_id}/logs").json()
    assert "cannot be read here: the key is gone" in first["lines"][0]["message"]
    assert second["lines"][0]["message"] == "run 2"


def test_the_command_line_shows_lines_with_their_attempt(
    api: Any, store: Any, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from control.cli.commands import app as commands

    monkeypatch.setattr("actors.app", app)
    job_id = a_logged_job(api, store)
    for options in ([], ["--follow"]):
        shown = CliRunner().invoke(commands, ["jobs", "logs", job_id, *options])
        assert shown.exit_code == 0, shown.output
        lines = shown.output.splitlines()
        assert lines[0] == "#1 00:00:00.000 info    run 1 rows=4"
        assert lines[3] == "#2 00:00:00.500 error   a  [2J line"
    as_json = CliRunner().invoke(commands, ["jobs", "logs", job_id, "--json"])
    assert [log["attempt"] for log in orjson.loads(as_json.output)] == [1, 2]


def test_a_retry_from_the_start_forgets_the_steps(api: Any, store: Any) -> None:
    job_id = str(post(api, queue="email-sync", data=SYNC).json()["id"])
    for body, left in (({}, ["one"]), ({"fromStart": True}, [])):
        (held,) = store.fetch(FetchRequest("w1", f"t{len(body)}", 1, {"email-sync": 1})).jobs
        store.save_step("w1", job_id, held.token, "one", b"1")
        store.settle("w1", [Verdict(job_id, held.token, Outcome.FAILED)])
        assert api.post(f"/api/v1/jobs/{job_id}/retry", json=body).json()["done"] is True
        assert list(store.steps(job_id)) == left
