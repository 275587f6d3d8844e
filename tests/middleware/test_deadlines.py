"""The time that a whole job has: nothing starts after it, what runs is ended, and lateness spends nothing."""

import asyncio
import threading
from typing import Any

import dramatiq
import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from jobs.errors import HoldJob, InvalidPayload
from jobs.model import Job
from jobs.states import JobState
from tests.fundamentals.stage import StartWorker
from tests.middleware.steps import details, error_of, events, job_of
from tests.middleware.transfers import settled


def noting(ran: list[str], **options: Any) -> Any:
    @actor(**options)
    def work(name: str = "") -> None:
        ran.append(name)

    return work


@pytest.mark.parametrize("option", ["expires", "deadline"])
def test_a_job_that_is_too_late_does_not_start_and_spends_no_attempt(jobs: FakeJobs, option: str) -> None:
    ran: list[str] = []
    work = noting(ran)
    in_time = work.send_with_options(args=("in time",), **{option: 6_000})
    late = work.send_with_options(args=("late",), **{option: 4_000})
    jobs.advance(5)
    jobs.run_all()

    assert ran == ["in time"]
    assert job_of(jobs, in_time).state is JobState.COMPLETED
    job = job_of(jobs, late)
    assert (job.state, job.attempts, job.dead_letter) == (JobState.FAILED, 0, "dead-letter")
    error = error_of(jobs, late)
    assert (error["type"], error["code"]) == ("JobExpired", "expired" if option == "expires" else "deadline")
    assert [event.attempt for event in events(jobs)] == [1, 0]


def test_a_moment_may_be_given_instead_of_a_span(jobs: FakeJobs) -> None:
    ran: list[str] = []
    work = noting(ran)
    now = job_of(jobs, work.send("first")).created_at
    work.send_with_options(args=("second",), deadline=now + 10_000)
    work.send_with_options(args=("late",), expires=now + 4_000)
    jobs.advance(5)
    jobs.run_all()
    assert ran == ["first", "second"]
    assert [one.error_code for one in details(jobs)].count("expired") == 1


def test_an_actor_may_declare_it_and_a_call_may_take_it_away(jobs: FakeJobs) -> None:
    ran: list[str] = []
    work = noting(ran, expires=1_000, deadline=2_000)
    work.send("late")
    work.send_with_options(args=("ever",), expires=0, deadline=0)
    jobs.advance(5)
    jobs.run_all()
    assert ran == ["ever"]


def test_what_has_started_once_does_not_expire_but_its_deadline_ends_its_retries(jobs: FakeJobs) -> None:
    @actor(attempts=9, backoff={"type": "fixed", "delay": 2_000})
    def failing() -> None:
        raise ConnectionError

    expiring = failing.send_with_options(expires=1_000)
    ending = failing.send_with_options(deadline=5_000)
    for _ in range(12):
        jobs.run_all()
        jobs.advance(2)
    assert job_of(jobs, expiring).attempts == 9
    job = job_of(jobs, ending)
    assert (job.state, job.attempts) == (JobState.FAILED, 3)  # at 0, 2 and 4 s: the next would begin at 6
    assert error_of(jobs, ending)["code"] == "deadline"


def test_what_was_held_in_its_run_has_started_in_time(jobs: FakeJobs) -> None:
    ran: list[int] = []

    @actor(expires=10_000)
    def patient() -> None:
        ran.append(1)
        if len(ran) == 1:
            raise HoldJob(60, "the other side is busy")

    message = patient.send()
    jobs.run_all()
    jobs.advance(61)
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.COMPLETED


def test_what_was_kept_from_its_run_has_not_started(app: App, jobs: FakeJobs) -> None:
    class Closed(dramatiq.Middleware):
        def before_process_message(self, broker: Any, message: Any) -> None:
            raise HoldJob(60, "closed")

    ran: list[str] = []
    work = noting(ran, expires=10_000)
    app.broker.add_middleware(Closed())
    message = work.send()
    jobs.run_all()
    jobs.advance(61)
    jobs.run_all()
    assert error_of(jobs, message)["code"] == "expired"
    assert ran == []


@pytest.mark.parametrize("wrong", [-1, "tomorrow", 1.5, True, 10**13])
def test_what_is_no_time_is_refused_at_send(jobs: FakeJobs, wrong: Any) -> None:
    work = noting([])
    with pytest.raises(InvalidPayload, match="deadline must be a whole number"):
        work.send_with_options(deadline=wrong)


class TestOnARealWorker:
    """What runs when the deadline comes is ended, and not tried again."""

    @staticmethod
    def ended(app: App, endless: Any) -> Job:
        """One that had begun when its deadline came: on a machine that has other work, a later one."""
        deadline = 300
        while True:
            job_id = endless.send_with_options(deadline=deadline).message_id
            job = settled(app, job_id)
            if job.attempts or deadline > 5_000:
                return job
            deadline *= 3

    def test_a_function(self, real_app: App, running_worker: StartWorker) -> None:
        never = threading.Event()

        @actor(attempts=5)
        def endless() -> None:
            while not never.wait(0.01):
                pass

        running_worker()
        job = self.ended(real_app, endless)
        assert (job.state, job.attempts) == (JobState.FAILED, 1)
        assert b"DeadlineExceeded" in (job.record or b"")
        assert b'"code":"deadline"' in (job.record or b"")

    def test_a_coroutine(self, real_app: App, running_worker: StartWorker) -> None:
        @actor(attempts=5)
        async def endless() -> None:
            await asyncio.sleep(600)

        running_worker()
        job = self.ended(real_app, endless)
        assert job.state is JobState.FAILED
        assert b"DeadlineExceeded" in (job.record or b"")
