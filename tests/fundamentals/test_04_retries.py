"""4. A job that raises is tried again, until its attempts are used up. Waiting is a matter of the clock."""

import pytest

from actors.declare import actor
from broker.testing import FakeJobs
from jobs.errors import PermanentError, RetryAfter
from jobs.model import Job
from jobs.states import JobState


def job_of(jobs: FakeJobs, message_id: str) -> Job:
    job = jobs.store.get(message_id)
    assert job is not None
    return job


def waits(jobs: FakeJobs, message_id: str) -> list[int]:
    """Run a job again and again until it is settled; the seconds that it waited in between."""
    seconds = []
    jobs.run_all()
    while not (job := job_of(jobs, message_id)).state.settled:
        assert job.due_at is not None
        waited = 0
        while jobs.run_all() == 0:
            jobs.advance(1)
            waited += 1
        seconds.append(waited)
    return seconds


def test_attempts_counts_runs_and_the_waits_between_them_double(jobs: FakeJobs) -> None:
    @actor(attempts=5, backoff={"type": "exponential", "delay": 2_000})
    def flaky() -> None:
        raise ConnectionError

    message = flaky.send()

    assert waits(jobs, message.message_id) == [2, 4, 8, 16]
    job = job_of(jobs, message.message_id)
    assert (job.state, job.attempts) == (JobState.FAILED, 5)


@pytest.mark.parametrize(
    ("backoff", "expected"),
    [
        ({"type": "fixed", "delay": 3_000}, [3, 3, 3]),
        ({"type": "linear", "delay": 3_000}, [3, 6, 9]),
        ({"type": "exponential", "delay": 3_000, "max": 5_000}, [3, 5, 5]),
    ],
)
def test_a_call_may_choose_another_backoff(
    jobs: FakeJobs, backoff: dict[str, object], expected: list[int]
) -> None:
    @actor
    def flaky() -> None:
        raise ConnectionError

    message = flaky.send_with_options(attempts=4, backoff=backoff)
    assert waits(jobs, message.message_id) == expected


def test_without_a_word_the_queues_policy_decides(jobs: FakeJobs) -> None:
    @actor
    def email_sync(account_id: str) -> None:
        raise ConnectionError

    @actor
    def of_mine() -> None:
        raise ConnectionError

    assert waits(jobs, email_sync.send("a1").message_id) == [5, 10]  # CATALOGUE: 3 attempts, exponential 5 s
    assert waits(jobs, of_mine.send().message_id) == [1, 2]  # 3 attempts, exponential 1 s


def test_a_job_that_works_in_the_end_is_completed(jobs: FakeJobs) -> None:
    answers = iter([ConnectionError(), ConnectionError(), "at last"])

    @actor
    def flaky() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    message = flaky.send()
    waits(jobs, message.message_id)

    assert job_of(jobs, message.message_id).attempts == 3
    assert message.get_result() == "at last"


def test_retry_after_says_when_to_come_back(jobs: FakeJobs) -> None:
    @actor(attempts=2)
    def polite() -> None:
        raise RetryAfter(90)

    assert waits(jobs, polite.send().message_id) == [90]


def test_a_permanent_error_is_not_tried_again(jobs: FakeJobs) -> None:
    @actor
    def cancelled_account() -> None:
        raise PermanentError("The account was closed.")

    message = cancelled_account.send()
    assert jobs.run_all() == 1

    job = job_of(jobs, message.message_id)
    assert (job.state, job.attempts) == (JobState.FAILED, 1)


def test_returning_success_false_is_a_permanent_failure_too(jobs: FakeJobs) -> None:
    @actor
    def charge() -> dict[str, object]:
        return {"success": False, "error": "The card was declined."}

    message = charge.send()
    assert jobs.run_all() == 1

    job = job_of(jobs, message.message_id)
    assert (job.state, job.attempts) == (JobState.FAILED, 1)
    assert b"The card was declined." in (job.record or b"")


def test_success_must_be_false_itself_not_only_look_like_it(jobs: FakeJobs) -> None:
    @actor
    def charge(answer: dict[str, object]) -> dict[str, object]:
        return answer

    sent = [charge.send({"success": value}) for value in (True, None, 0, "")]
    jobs.run_all()
    assert {job_of(jobs, message.message_id).state for message in sent} == {JobState.COMPLETED}
