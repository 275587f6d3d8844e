"""What a job keeps of its steps, over HTTP and on the command line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import dramatiq
import orjson
import pytest
from typer.testing import CliRunner

from actors.composition import App, compose
from actors.declare import actor
from control.service import JobService
from jobs.errors import JobNotFound, KeyMissing
from jobs.marks import Secret
from jobs.model import FetchRequest
from middleware.steps import effect, step
from settings import Settings
from tests.contract.steps import a_worker
from tests.control.asking import SYNC, post
from tests.control.letters import Board, a_board
from tests.sealed import KEYS
from tests.tables import give_tables


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Board]:
    with a_board(monkeypatch, tmp_path) as board:
        monkeypatch.setattr("actors.app", board.app)
        yield board


def an_order(board: Board) -> str:
    """A job with a finished step, a finished effect, and one that was begun."""

    def charge(intent: Any) -> str:
        raise ConnectionError("it may have been booked")

    @actor(attempts=1)
    def order() -> None:
        step("reserve", lambda: {"shelf": 7})
        effect("mail", {"key": "m-1"}, lambda intent: "sent", lambda intent: None)
        effect("charge", {"key": "c-1"}, charge, lambda intent: None)

    message = order.send()
    board.jobs.run_all()
    return str(message.message_id)


def test_steps_are_shown_in_their_order_with_what_they_gave(board: Board) -> None:
    reserve, mail, charge = JobService(board.app).steps(an_order(board)).steps
    assert (reserve.name, reserve.kind, reserve.finished) == ("reserve", "step", True)
    assert (reserve.outcome, reserve.size) == ({"shelf": 7}, len(b'["step",{"shelf":7}]'))
    assert (mail.name, mail.kind, mail.finished, mail.outcome) == ("mail", "effect", True, "sent")
    assert (charge.kind, charge.finished, charge.outcome) == ("effect", False, None)
    assert charge.intent == {"key": "c-1"}, "with this the provider can be asked"


def test_the_steps_have_their_own_address(api: Any, store: Any) -> None:
    job_id = str(post(api, queue="email-sync", data=SYNC).json()["id"])
    assert api.get(f"/api/v1/jobs/{job_id}/steps").json() == {"id": job_id, "state": "waiting", "steps": []}
    (held,) = store.fetch(FetchRequest("w1", "t1", 1, {"email-sync": 1})).jobs
    store.save_step("w1", job_id, held.token, "count", b'["step",3]')
    answer = api.get(f"/api/v1/jobs/{job_id}/steps").json()
    assert answer["steps"] == [
        {
            "name": "count",
            "kind": "step",
            "finished": True,
            "size": 10,
            "outcome": 3,
            "intent": None,
            "note": None,
        }
    ]
    assert api.get("/api/v1/jobs/nobody/steps").status_code == 404


def test_the_command_line_shows_them_as_a_table(board: Board) -> None:
    from control.cli.commands import app as commands

    job_id = an_order(board)
    shown = CliRunner().invoke(commands, ["jobs", "steps", job_id])
    assert shown.exit_code == 0, shown.output
    assert [line.split() for line in shown.output.splitlines()] == [
        ["step", "kind", "is", "bytes", "outcome"],
        ["reserve", "step", "finished", "20", '{"shelf":7}'],
        ["mail", "effect", "finished", "17", '"sent"'],
        ["charge", "effect", "intended", "24", "intent:", '{"key":"c-1"}'],
    ]
    as_json = CliRunner().invoke(commands, ["jobs", "steps", job_id, "--json"])
    assert [one["name"] for one in orjson.loads(as_json.output)["steps"]] == ["reserve", "mail", "charge"]


def test_the_command_line_lets_no_value_move_the_cursor(board: Board) -> None:
    from control.cli.commands import app as commands

    @actor
    def noisy() -> None:
        step("noisy", lambda: "\x1b[2J and \x9b2J" + "x" * 200)

    message = noisy.send()
    board.jobs.run_all()
    shown = CliRunner().invoke(commands, ["jobs", "steps", message.message_id]).output
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    assert len(shown.splitlines()[1]) < 120
    none = board.send(1)[0]
    assert "has stored no step" in CliRunner().invoke(commands, ["jobs", "steps", none]).output


def test_what_a_private_job_made_is_not_shown(board: Board) -> None:
    @actor(attempts=1)
    def charge_card(card: Annotated[str, Secret]) -> None:
        step("account", lambda: f"account of {card}")
        effect("charge", {"card": card}, lambda intent: 1 / 0, lambda intent: None)

    message = charge_card.send("4111")
    board.jobs.run_all()
    view = JobService(board.app).steps(message.message_id)
    assert "4111" not in orjson.dumps(view.to_json()).decode()
    assert [(one.name, one.outcome, one.intent) for one in view.steps] == [
        ("account", "[private]", None),
        ("charge", None, "[private]"),
    ]


def test_an_encrypted_job_on_a_server_shows_what_is_done_and_no_value(
    tmp_path: Path, redis_url: str, namespace: str
) -> None:
    def composed() -> App:
        where = {"url": redis_url, "namespace": namespace}
        return compose(Settings.model_validate({"home": tmp_path, "redis": where, "keys": KEYS}))

    def card_charge(card: Annotated[str, Secret]) -> None: ...

    sender, other = composed(), composed()
    give_tables(sender.engine())
    declared = dramatiq.actor(queue_name="card-charge", broker=sender.broker)
    charge = declared(card_charge)
    message = charge.send("4111")
    sender.store.register(a_worker("w1"), 60_000)
    (held,) = sender.store.fetch(FetchRequest("w1", "t1", 1, {"card-charge": 1})).jobs
    codec = sender.broker.codec
    for name, kind, value in (("b", "step", "4111"), ("a", "intent", {"card": "4111"})):
        sealed, stored = codec.close_note("step", held, [kind, value, name]), codec.stored_name(held, name)
        assert stored != name
        assert sender.store.save_step("w1", held.id, held.token, stored, sealed)
    for app in (sender, other):  # the other one does not know the actor
        first, second = JobService(app).steps(message.message_id).steps
        assert (first.name, first.finished, first.outcome) == ("b", True, "[private]")
        assert (second.name, second.finished, second.intent) == ("a", False, "[private]")
        assert first.size > 30


def test_what_cannot_be_opened_hides_nothing_else(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = an_order(board)
    real, calls = board.app.broker.codec.open_note, [0]

    def once(kind: Any, job: Any, stored: bytes) -> Any:
        calls[0] += 1
        if calls[0] == 1:
            raise KeyMissing("the key is gone")
        return ["odd"] if calls[0] == 2 else real(kind, job, stored)

    monkeypatch.setattr(board.app.broker.codec, "open_note", once)
    first, second, third = JobService(board.app).steps(job_id).steps
    assert (first.name, first.finished, first.note) == (
        "reserve",
        None,
        "it cannot be read here: the key is gone",
    )
    assert "none of ours" in (second.note or "")
    assert third.finished is False


def test_the_steps_of_an_unknown_job_are_not_found(board: Board) -> None:
    with pytest.raises(JobNotFound):
        JobService(board.app).steps("../nobody")
