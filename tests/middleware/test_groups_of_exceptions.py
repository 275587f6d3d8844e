"""What `asyncio.TaskGroup` raises is a group: the exception in it that decides is the one to go by."""

import asyncio
from typing import Any

import pytest

from actors.declare import actor
from broker.testing import FakeJobs
from jobs.error_groups import telling
from jobs.errors import HoldJob, JobCancelled, LeaseLost, LimitReached, PermanentError, RetryAfter
from jobs.states import JobState
from middleware.cancellation import on_cancel
from tests.middleware.steps import error_of, job_of


def in_a_group(jobs: FakeJobs, *raised: BaseException, **options: Any) -> Any:
    """A job whose tasks raise these, after its first run."""

    @actor(attempts=3, backoff={"type": "fixed", "delay": 1_000}, **options)
    async def together() -> None:
        async def child(error: BaseException) -> None:
            raise error

        async with asyncio.TaskGroup() as group:
            for error in raised:
                group.create_task(child(error))

    message = together.send()
    jobs.run_all()
    return job_of(jobs, message)


def test_what_is_final_is_final(jobs: FakeJobs) -> None:
    job = in_a_group(jobs, PermanentError("no such account"))
    assert (job.state, job.attempts) == (JobState.FAILED, 1)
    error = error_of(jobs, job.id)
    assert (error["type"], error["message"], error["code"]) == (
        "PermanentError",
        "no such account",
        "permanent",
    )


def test_a_job_that_gives_up_is_cancelled_and_cleans_up(jobs: FakeJobs) -> None:
    cleaned: list[str] = []

    @actor
    async def gives_up() -> None:
        on_cancel(lambda: cleaned.append("done"))

        async def child() -> None:
            raise JobCancelled("enough")

        async with asyncio.TaskGroup() as group:
            group.create_task(child())

    message = gives_up.send()
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.CANCELLED
    assert error_of(jobs, message)["message"] == "enough"
    assert cleaned == ["done"]


def test_a_run_without_its_lease_is_not_a_failure(jobs: FakeJobs) -> None:
    job = in_a_group(jobs, LeaseLost("gone"))
    assert (job.state, job.attempts) == (JobState.DELAYED, 0)


def test_a_job_is_held_as_long_as_it_said(jobs: FakeJobs) -> None:
    job = in_a_group(jobs, HoldJob(50, "busy"))
    assert (job.state, job.attempts, job.held_reason) == (JobState.WAITING, 0, "busy")


def test_a_retry_comes_when_it_was_asked_for(jobs: FakeJobs) -> None:
    job = in_a_group(jobs, RetryAfter(100))
    assert job.state is JobState.DELAYED
    jobs.advance(99)
    assert jobs.run_all() == 0
    jobs.advance(1)
    assert jobs.run_all() == 1


def test_the_lists_judge_the_first_of_several(jobs: FakeJobs) -> None:
    job = in_a_group(jobs, NotImplementedError("later"), ConnectionError())
    assert (job.state, error_of(jobs, job.id)["type"]) == (JobState.FAILED, "NotImplementedError")


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        ([ValueError(), KeyboardInterrupt(), JobCancelled("4")], JobCancelled),
        ([PermanentError("1"), HoldJob(1, "2"), asyncio.CancelledError()], asyncio.CancelledError),
        ([PermanentError("1"), ExceptionGroup("b", [RetryAfter(1), HoldJob(1, "2")])], HoldJob),
        ([PermanentError("1"), LimitReached(1, "2"), ValueError()], LimitReached),
        ([LimitReached(1, "1"), JobCancelled("2")], JobCancelled),
        ([ValueError(), RetryAfter(1), PermanentError("3")], PermanentError),
        ([ValueError(), RetryAfter(1)], RetryAfter),
        ([ValueError(), KeyError()], ValueError),
    ],
)
def test_of_several_one_decides(raised: list[BaseException], kind: type[BaseException]) -> None:
    assert type(telling(BaseExceptionGroup("tasks", raised))) is kind


def test_any_other_exception_speaks_for_itself() -> None:
    error = OSError()
    assert telling(error) is error
