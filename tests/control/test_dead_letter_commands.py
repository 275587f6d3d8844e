"""Every rule of dead letters from `actor.send()` to what the command line and the API show and do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from control.api.keys import KeyFile
from jobs.states import JobState
from tests.control.letters import Board, a_board
from tests.control.serving import serving

RULES = [
    {"to": "late", "code": ["expired", "deadline"]},
    {"to": "of-acme", "tenant": "acme", "error": "PermanentError"},
    {"to": "lookups", "error": "LookupError", "actor": "ref*"},
    {"to": "stubborn", "attempts": 3},
]


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Board]:
    with a_board(monkeypatch, tmp_path, dead_letters={"rules": RULES}) as board:
        monkeypatch.setattr("actors.app", board.app)
        yield board


@pytest.fixture
def client(board: Board) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {KeyFile(board.app.settings.home).ensure()}"}
    with (
        serving(board.app) as url,
        httpx2.Client(base_url=url, headers=headers, trust_env=False, timeout=30) as client,
    ):
        yield client


@pytest.fixture
def letters(board: Board) -> dict[str, str]:
    """A dead letter for each rule and one for none, by the queue that it shall be in."""
    sent = {
        "of-acme": board.send(1, tenant_id="acme")[0],
        "late": board.send(1, expires=1)[0],
        "lookups": board.refund.send("c1").message_id,
        "stubborn": board.refund.send_with_options(args=("c2",), attempts=3).message_id,
        "dead-letter": board.send(1)[0],
    }
    board.jobs.advance(0.001)
    for _ in range(4):
        board.jobs.run_all()
        board.jobs.advance(3_600)
    # The third rule stands before the fourth, so what is looked up in vain is there however often it ran.
    sent["lookups "] = sent.pop("stubborn")
    return sent


def test_the_first_rule_that_fits_decides(board: Board, letters: dict[str, str], here: Any) -> None:
    shown = json.loads(here("dead", "list", "--json").stdout)
    assert {one["id"]: one["deadLetter"] for one in shown} == {
        job_id: queue.strip() for queue, job_id in letters.items()
    }
    for queue in ("of-acme", "late"):
        (one,) = json.loads(here("dead", "list", "--queue", queue, "--json").stdout)
        assert one["id"] == letters[queue]
    kinds = {one["id"]: one["errorCode"] for one in shown}
    assert (kinds[letters["late"]], kinds[letters["lookups"]]) == ("expired", "exhausted")


def test_attempts_are_a_rule_as_well(board: Board) -> None:
    def away(customer: str, cents: int) -> None:
        raise ConnectionError

    board.bank.take = away  # type: ignore[method-assign]
    few, many = board.send(1, attempts=2)[0], board.send(1, attempts=3)[0]
    for _ in range(4):
        board.jobs.run_all()
        board.jobs.advance(3_600)
    where = [getattr(board.jobs.store.get(job_id), "dead_letter", None) for job_id in (few, many)]
    assert where == ["dead-letter", "stubborn"]


def test_a_dead_letter_queue_of_a_rule_has_metrics_like_any_queue(
    board: Board, letters: dict[str, str], client: httpx2.Client
) -> None:
    assert client.get("/api/v1/queues/late/metrics").json()["deadLetters"] == 1
    found = client.get("/api/v1/dead-letters", params={"queue": "of-acme"}).json()["letters"]
    assert [one["id"] for one in found] == [letters["of-acme"]]


def test_causes_are_grouped_alike_by_both(board: Board, here: Any, client: httpx2.Client) -> None:
    board.die(3)
    said = here("dead", "list", "--group").stdout
    groups = client.get("/api/v1/dead-letters/groups", params={"queue": "charge"}).json()["groups"]
    (group,) = groups
    assert (group["count"], group["errorType"], group["errorMessage"]) == (
        3,
        "PermanentError",
        "the bank said no",
    )
    assert group["fingerprint"] in said
    assert "the bank said no" in said


class TestReplay:
    def test_it_counts_first_and_then_does_it(self, board: Board, here: Any) -> None:
        ids = board.die(2)
        counted = here("dead", "replay", "--actor", "charge")
        assert (counted.returncode, board.states(ids)) == (0, {JobState.FAILED: 2})
        assert "2 would run again; add --yes to do it" in counted.stdout
        done = here("dead", "replay", "--actor", "charge", "--set", "customer=mended", "--yes")
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "2 jobs run again")
        board.bank.broken = set()
        board.jobs.run_all()
        assert board.bank.charged == [("mended", 100)] * 2

    def test_a_patch_comes_from_a_file(self, board: Board, here: Any, tmp_path: Path) -> None:
        board.die(1)
        patch = tmp_path / "patch.json"
        patch.write_text('{"cents": 7}')
        board.bank.broken = set()
        assert here("dead", "replay", "--patch", str(patch), "--yes").returncode == 0
        board.jobs.run_all()
        assert board.bank.charged == [("c0", 7)]

    def test_what_does_not_fit_is_said_and_stays(self, board: Board, here: Any) -> None:
        ids = board.die(2)
        said = here("dead", "replay", "--set", "cents=none", "--yes")
        assert said.returncode == 1
        assert "not changed, and not run: 2: charge cannot take these arguments: cents" in said.stderr
        assert board.states(ids) == {JobState.FAILED: 2}

    def test_a_canary_stops_when_nothing_was_mended(
        self, board: Board, here: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = board.die(20)
        monkeypatch.setattr("control.cli.dead.time.sleep", lambda seconds: board.jobs.run_all())
        said = here("dead", "replay", "--queue", "charge", "--canary", "--yes")
        assert said.returncode == 1
        assert "1 of 1 jobs failed as before; the others stay as they are" in said.stdout
        assert board.states(ids) == {JobState.FAILED: 20}

    def test_a_canary_goes_on_to_all_when_it_was(
        self, board: Board, here: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = board.die(20)
        board.bank.broken = set()
        monkeypatch.setattr("control.cli.dead.time.sleep", lambda seconds: board.jobs.run_all())
        said = here("dead", "replay", "--queue", "charge", "--canary", "--yes")
        assert said.returncode == 0
        assert "1 of 20: 0 completed, 1 run" in said.stdout
        assert board.states(ids) == {JobState.COMPLETED: 20}

    @pytest.mark.parametrize(("more", "run"), [((), 1), (("--go-on",), 20)])
    def test_a_canary_whose_jobs_fail_by_another_cause_is_no_success(
        self, board: Board, here: Any, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...], run: int
    ) -> None:
        ids = board.die(20)
        board.bank.broken, board.bank.otherwise = set(), True
        monkeypatch.setattr("control.cli.dead.time.sleep", lambda seconds: board.jobs.run_all())
        said = here("dead", "replay", "--queue", "charge", "--canary", *more, "--yes")
        assert said.returncode == 1
        assert len([job_id for job_id in ids if board.runs(job_id) == 2]) == run
        told = (
            "1 of 1 jobs failed by another cause than before"
            if run == 1
            else "but 20 failed by another cause"
        )
        assert told in said.stdout
        assert len(said.stderr.split()) == (run == 1), "the job at which it stopped is named"

    def test_the_api_goes_on_past_other_failures_when_told_to(
        self, board: Board, client: httpx2.Client
    ) -> None:
        board.die(2)
        board.bank.broken, board.bank.otherwise = set(), True
        body: dict[str, Any] = {"queue": "charge", "goOn": True}
        body["run"] = client.post("/api/v1/dead-letters/canary", json=body).json()["next"]
        board.jobs.run_all()
        second = client.post("/api/v1/dead-letters/canary", json=body).json()
        assert (second["state"], second["started"], len(second["otherwise"])) == ("waiting", 2, 1)
        stopped = client.post("/api/v1/dead-letters/canary", json=body | {"goOn": False}).json()
        assert (stopped["state"], stopped["failedOtherwise"], stopped["returned"]) == ("stopped", 1, [])

    def test_the_api_drives_a_canary_by_its_tokens(self, board: Board, client: httpx2.Client) -> None:
        ids = board.die(15)
        board.bank.broken = set()
        body: dict[str, Any] = {"queue": "charge"}
        started = []
        while True:
            view = client.post("/api/v1/dead-letters/canary", json=body).json()
            started.append(view["started"])
            if view["state"] != "waiting":
                break
            body["run"] = view["next"]
            board.jobs.run_all()
        assert (view["state"], view["total"], [*dict.fromkeys(started)]) == ("done", 15, [1, 11, 15])
        assert board.states(ids) == {JobState.COMPLETED: 15}

    def test_the_api_changes_arguments_too(self, board: Board, client: httpx2.Client) -> None:
        board.die(1)
        board.bank.broken = set()
        wrong = client.post("/api/v1/dead-letters/replay", json={"patch": {"cents": "x"}}).json()
        assert wrong["done"] == 0
        assert wrong["refused"][0].startswith("1: charge cannot take these arguments: cents")
        answer = client.post("/api/v1/dead-letters/replay", json={"patch": {"cents": 5}}).json()
        assert (answer["matched"], answer["done"], answer["next"]) == (1, 1, None)
        board.jobs.run_all()
        assert board.bank.charged == [("c0", 5)]


class TestDiscard:
    def test_it_takes_a_reason(self, board: Board, here: Any) -> None:
        ids = board.die(2)
        assert here("dead", "discard", "--yes").returncode == 2
        assert "reason: say why" in here("dead", "discard", "--reason", " ", "--yes").stderr
        counted = here("dead", "discard", "--reason", "test orders")
        assert "2 would be discarded; add --yes to do it" in counted.stdout
        done = here("dead", "discard", "--reason", "test orders", "--yes")
        assert done.stdout.splitlines()[-1] == "2 jobs discarded"
        assert board.states(ids) == {None: 2}

    def test_over_the_api_as_well(self, board: Board, client: httpx2.Client) -> None:
        ids = board.die(1)
        assert client.post("/api/v1/dead-letters/discard", json={}).status_code == 422
        answer = client.post("/api/v1/dead-letters/discard", json={"reason": "test orders"}).json()
        assert (answer["done"], board.states(ids)) == (1, {None: 1})


def test_all_attempts_are_shown_by_both(board: Board, here: Any, client: httpx2.Client) -> None:
    (job_id,) = board.die(1)
    said = here("jobs", "show", job_id, "--stack")
    assert said.stdout.startswith(f"{job_id} is failed")
    assert "PermanentError: the bank said no" in said.stdout
    assert " in take" in said.stdout
    assert "not in the audit yet" in said.stderr
    view = client.get(f"/api/v1/jobs/{job_id}/attempts").json()
    assert "attempts" in view, view
    assert [(one["attempt"], one["outcome"], one["errorCode"]) for one in view["attempts"]] == [
        (1, "failed", "permanent")
    ]
    assert client.get("/api/v1/jobs/nobody/attempts").status_code == 404
