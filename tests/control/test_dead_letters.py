"""Retrying dead letters by what they have in common."""

import uuid
from datetime import UTC, datetime

import pytest

from control.service import DeadLetters
from control.service.requests import DeadLetterFilter, RetryRequest
from jobs.errors import InvalidPayload, UnknownQueue
from jobs.memory import MemoryStore
from jobs.model import FetchRequest, NewJob, Outcome, Verdict
from jobs.states import JobState
from tests.control.board import small_app

QUEUE = "email-sync"
NOON = 1_772_366_400_000  # 2026-03-01 12:00:00 UTC


@pytest.fixture
def clock():
    return [NOON]


@pytest.fixture
def store(clock):
    return MemoryStore(clock=lambda: clock[0])


@pytest.fixture
def letters(store, tmp_path):
    return DeadLetters(small_app(store, tmp_path), "ada")


def fail(store, ids, queue=QUEUE, error="LoginRefused", actor="email_sync", lane=""):
    """Have these jobs fail for good."""
    store.enqueue([NewJob(job_id, queue, actor, b"", lane=lane) for job_id in ids])
    fail_again(store, queue, error)


def fail_again(store, queue=QUEUE, error="LoginRefused"):
    record = b'{"error": {"type": "%s", "message": "no"}}' % error.encode()
    while jobs := store.fetch(FetchRequest("w1", uuid.uuid4().hex, 100, {queue: 100})).jobs:
        verdicts = [Verdict(job.id, job.token, Outcome.FAILED, record=record) for job in jobs]
        store.settle("w1", verdicts)


def surveyed(letters, **wanted):
    found = None
    for survey in letters.survey(DeadLetterFilter(**wanted)):
        found = survey
    return found


def waiting(store, queue=QUEUE):
    return {job.id for job in store.list_jobs(queue, JobState.WAITING, 10_000)}


def test_a_survey_counts_what_fits_by_its_errors_and_changes_nothing(letters, store):
    fail(store, ["a", "b"])
    fail(store, ["c"], error="Timeout")
    fail(store, ["d"], queue="email-draft")

    found = surveyed(letters, queue=QUEUE)

    assert (found.looked, found.matched) == (3, 3)
    assert found.errors == {"LoginRefused": 2, "Timeout": 1}
    assert waiting(store) == set()


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({}, {"a", "b", "c", "d"}),
        ({"queue": "dead-letter"}, {"a", "b", "c", "d"}),
        ({"queue": "email"}, {"a", "b", "c", "d"}),
        ({"queue": QUEUE}, {"a", "b", "c"}),
        ({"error_type": "Timeout"}, {"b"}),
        ({"tenant_id": "acme"}, {"c"}),
        ({"tenant_id": ""}, {"a", "b", "d"}),
        ({"name": "email-draft"}, {"d"}),
        ({"queue": QUEUE, "tenant_id": "acme", "error_type": "Timeout"}, set()),
    ],
)
def test_only_what_fits_all_that_is_given_runs_again(letters, store, wanted, fits):
    fail(store, ["a"])
    fail(store, ["b"], error="Timeout")
    fail(store, ["c"], lane="acme")
    fail(store, ["d"], queue="email-draft", actor="email_draft")

    started = sum(letters.retry(DeadLetterFilter(**wanted), newest=NOON))

    assert started == len(fits)
    assert waiting(store) | waiting(store, "email-draft") == fits


def test_times_are_a_span_whose_end_is_not_in_it(letters, store, clock):
    for job_id in ("first", "second", "third"):
        fail(store, [job_id])
        clock[0] += 60_000
    since = datetime(2026, 3, 1, 12, 1, tzinfo=UTC)
    until = datetime(2026, 3, 1, 12, 2, tzinfo=UTC)

    answer = letters.retry_page(RetryRequest(since=since, until=until))

    assert (answer.matched, answer.retried) == (1, 1)
    assert waiting(store) == {"second"}


def test_a_dry_run_touches_nothing(letters, store):
    fail(store, ["a", "b"])

    answer = letters.retry_page(RetryRequest(dry_run=True))

    assert (answer.looked, answer.matched, answer.retried, answer.next) == (2, 2, 0, None)
    assert waiting(store) == set()


def test_pages_lead_on_from_one_to_the_next_over_all_queues(letters, store):
    fail(store, [f"sync-{number}" for number in range(5)])
    fail(store, [f"draft-{number}" for number in range(3)], queue="email-draft")

    looked, after = [], None
    while not looked or after:
        answer = letters.retry_page(RetryRequest(limit=2, after=after, dry_run=True))
        looked.append(answer.looked)
        after = answer.next

    assert sum(looked) == 8
    assert max(looked) <= 2


def test_pages_go_on_behind_what_was_taken_out(board, tmp_path):
    letters = DeadLetters(small_app(board, tmp_path), "ada")
    fail(board, [f"j{number}" for number in range(7)])
    fail(board, ["other"], error="Timeout")

    answers, after = [], None
    while not answers or after:
        answers.append(letters.retry_page(RetryRequest(error_type="LoginRefused", limit=2, after=after)))
        after = answers[-1].next

    assert sum(answer.retried for answer in answers) == 7
    assert sum(answer.looked for answer in answers) == 8
    assert [job.id for job in board.list_jobs(QUEUE, JobState.FAILED)] == ["other"]


def test_a_job_that_fails_anew_meanwhile_is_not_taken_twice(letters, store, clock):
    fail(store, ["a", "b"])
    found = surveyed(letters)
    clock[0] += 1_000

    for _ in letters.retry(DeadLetterFilter(), found.newest):
        fail_again(store)

    assert store.stats([QUEUE])[0].failed == 2
    assert sum(letters.retry(DeadLetterFilter(), found.newest)) == 0


def test_a_run_that_is_closed_says_what_it_did(letters, store, caplog):
    caplog.set_level("INFO", logger="callboard.operators")
    fail(store, ["a"])
    fail(store, ["b"], queue="email-draft")
    run = letters.retry(DeadLetterFilter(error_type="LoginRefused"), NOON)

    started = next(run) + next(run)
    run.close()

    assert started == 1  # the first queue had none
    assert caplog.messages == ['"ada" jobs.retry retried=1 error_type="LoginRefused"']


@pytest.mark.parametrize("after", ["nonsense", "W10", "WyJlbWFpbC1zeW5jIiwgMSwgIngiXQ"])
def test_a_place_that_was_made_up_is_refused(letters, store, after):
    fail(store, ["a"])

    with pytest.raises(InvalidPayload, match="after: give the 'next' of the answer before"):
        letters.retry_page(RetryRequest(after=after))


def test_a_place_of_another_filter_is_refused(letters, store):
    fail(store, ["a", "b"])
    after = letters.retry_page(RetryRequest(queue=QUEUE, limit=1, dry_run=True)).next

    with pytest.raises(InvalidPayload, match="belongs to another filter"):
        letters.retry_page(RetryRequest(queue="email-draft", after=after))


def test_an_unknown_queue_is_refused_with_the_nearest(letters):
    with pytest.raises(UnknownQueue, match="did you mean email-sync"):
        letters.retry_page(RetryRequest(queue="email-sinc"))
