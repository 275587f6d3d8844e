"""Jobs of a canary that somebody cancels or removes say nothing of the mend."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control.service import Canary, CanaryView, JobActions
from jobs.states import JobState
from tests.control.letters import Board, a_board


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Board]:
    with a_board(monkeypatch, tmp_path) as board:
        yield board


def started(board: Board, ids: list[str]) -> list[str]:
    return [job_id for job_id in ids if board.state(job_id) is JobState.WAITING]


def put_aside(board: Board, ids: list[str], how: str) -> None:
    actions = JobActions(board.app, "bob")
    {"cancelled": actions.cancel, "removed": actions.remove}[how](started(board, ids))


def step(board: Board, before: CanaryView | None = None) -> CanaryView:
    return Canary(board.app, "ada").step(board.wanted(), run=before.next if before else None)


def facts(view: CanaryView) -> dict[str, Any]:
    names = ("state", "stage", "started", "completed", "cancelled", "removed")
    return {name: getattr(view, name) for name in names}


@pytest.mark.parametrize("how", ["cancelled", "removed"])
def test_the_only_one_that_was_put_aside_promotes_nothing(board: Board, how: str) -> None:
    ids = board.die(30)
    view = step(board)
    put_aside(board, ids, how)
    view = step(board, view)
    assert facts(view) == {
        "state": "waiting",
        "stage": 0,
        "started": 2,
        "completed": 0,
        "cancelled": how == "cancelled",
        "removed": how == "removed",
    }
    assert view.message == f"2 jobs run again; 1 of them are watched; 1 was {how} before the end"

    board.jobs.run_all()
    assert step(board, view).state == "stopped", "nothing was mended, and one failure shows it"
    assert board.states(ids)[JobState.FAILED] == 29


def test_one_of_ten_that_ends_by_itself_is_enough(board: Board) -> None:
    ids = board.die(30)
    board.bank.broken = set()
    view = step(board)
    board.jobs.run_all()
    view = step(board, view)
    assert (view.stage, view.started) == (1, 11)

    put_aside(board, ids, "cancelled")
    view = step(board, view)
    assert (view.stage, view.started, view.cancelled) == (1, 21, 10), "ten others, not all"

    put_aside(board, started(board, ids)[1:], "removed")
    board.jobs.run_all()
    view = step(board, view)
    assert (view.stage, view.started, view.completed, view.removed) == (2, 30, 2, 9)


def test_one_that_leaves_when_it_is_completed_is_completed(board: Board) -> None:
    board.die(3, remove_on_complete=True)
    board.bank.broken = set()
    view = step(board)
    board.jobs.run_all()
    view = step(board, view)
    assert facts(view) | {"state": ""} == {
        "state": "",
        "stage": 1,
        "started": 3,
        "completed": 1,
        "cancelled": 0,
        "removed": 0,
    }


def test_when_none_is_left_it_is_done_and_says_what_became_of_them(board: Board) -> None:
    ids = board.die(1)
    view = step(board)
    put_aside(board, ids, "removed")
    view = step(board, view)
    assert (view.state, view.next) == ("done", None)
    assert view.message.endswith("; 1 was removed before the end")
