"""All attempts of a job: from the audit, and from the job itself what is not there (or not there yet)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from control.service import HistoryService
from database.audit import AuditWriter
from database.errors import DatabaseUnavailable
from jobs.errors import JobNotFound
from tests.control.letters import Board, a_board


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Board]:
    with a_board(monkeypatch, tmp_path) as board:
        board.jobs.store.read_events("audit", "one")
        yield board


def fail(board: Board, attempts: int) -> str:
    (job_id,) = board.send(1, attempts=attempts)

    def away(customer: str, cents: int) -> None:
        raise ConnectionError("no route")

    board.bank.take = away  # type: ignore[method-assign]
    for _ in range(attempts + 1):
        board.jobs.run_all()
        board.jobs.advance(3_600)
    return job_id


def write_audit(board: Board, most: int = 100) -> None:
    batch = board.jobs.store.read_events("audit", "one")
    AuditWriter(board.app.engine()).write(batch.events[:most])
    board.jobs.store.ack_events("audit", [event.id for event in batch.events])


def test_every_attempt_is_told_with_how_it_ended(board: Board) -> None:
    job_id = fail(board, 3)
    write_audit(board)
    view = HistoryService(board.app).attempts(job_id)
    assert [(one.attempt, one.outcome, one.error_code) for one in view.attempts] == [
        (1, "retry", "retryable"),
        (2, "retry", "retryable"),
        (3, "failed", "exhausted"),
    ]
    assert view.attempts[0].error_message == "no route"
    assert view.attempts[0].stack[-1].endswith(" in away")
    assert (view.complete, view.note) == (True, None)


def test_the_last_one_is_known_before_its_row_is(board: Board) -> None:
    job_id = fail(board, 3)
    write_audit(board, most=2)
    view = HistoryService(board.app).attempts(job_id)
    assert [one.attempt for one in view.attempts] == [1, 2, 3]
    assert (view.attempts[2].outcome, view.attempts[2].error_code) == ("failed", "exhausted")
    assert view.note == "the last attempt is not in the audit yet; it is shown from the job itself"


def test_while_the_database_is_away_the_last_failure_is_still_told(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = fail(board, 2)

    def away() -> None:
        raise DatabaseUnavailable("The database does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(board.app, "engine", away)
        view = HistoryService(board.app).attempts(job_id)
        with pytest.raises(JobNotFound, match="the database is away"):
            HistoryService(board.app).attempts("nobody")
    assert [(one.attempt, one.error_type, one.error_message) for one in view.attempts] == [
        (2, "ConnectionError", "no route")
    ]
    assert not view.complete
    assert "the database is away" in (view.note or "")


def test_a_job_that_left_the_store_is_still_in_the_audit(board: Board) -> None:
    job_id = fail(board, 1)
    write_audit(board)
    board.jobs.store.remove([job_id])
    view = HistoryService(board.app).attempts(job_id)
    assert (view.state, len(view.attempts)) == (None, 1)


@pytest.mark.parametrize("job_id", ["nobody", "../etc"])
def test_a_job_that_never_was_is_not_found(board: Board, job_id: str) -> None:
    with pytest.raises(JobNotFound):
        HistoryService(board.app).attempts(job_id)
