"""One line when an attempt ends, and never an argument."""

import logging

import pytest

from broker.logs import LINES_A_SECOND, JobLog
from broker.proxy import JobProxy
from jobs.model import FetchedJob, Outcome, Verdict

JOB = FetchedJob("id1", "mail", "mail", b"", 1, 2, 3, 5, "", 0, 0, 0, 0)


def written(caplog: pytest.LogCaptureFixture, *verdicts: Verdict) -> list[tuple[str, str]]:
    log, proxy = JobLog(), JobProxy(JOB, ("secret",), {}, {}, 0)
    with caplog.at_level(logging.INFO, "callboard.jobs"):
        for verdict in verdicts:
            log.settled(proxy, verdict)
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_a_retry_says_when_and_a_dead_letter_says_why(caplog: pytest.LogCaptureFixture) -> None:
    retry = Verdict("id1", 1, Outcome.RETRY, delay_ms=2_000)
    dead = Verdict(
        "id1", 1, Outcome.FAILED, dead_letter="dead-letter", record=b'{"error":{"message":"no such mailbox"}}'
    )
    assert written(caplog, retry, dead) == [
        ("WARNING", "mail[id1] failed, again in 2.0 s (attempt 2 of 3)"),
        ("ERROR", "mail[id1] is a dead letter in dead-letter (attempt 2 of 3): no such mailbox"),
    ]


def test_a_completed_job_says_how_long_it_took(caplog: pytest.LogCaptureFixture) -> None:
    ((level, text),) = written(caplog, Verdict("id1", 1, Outcome.COMPLETED))
    assert level == "INFO"
    assert text.startswith("mail[id1] completed in ")


def test_a_flood_of_completed_jobs_is_summed_up(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("broker.logs.time.monotonic", lambda: now[0])
    log, proxy, done = JobLog(), JobProxy(JOB, (), {}, {}, 0), Verdict("id1", 1, Outcome.COMPLETED)
    with caplog.at_level(logging.INFO, "callboard.jobs"):
        for _ in range(LINES_A_SECOND + 500):
            log.settled(proxy, done)
        now[0] += 1
        log.settled(proxy, done)
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == LINES_A_SECOND + 2
    assert "and 500 more jobs were completed" in texts
