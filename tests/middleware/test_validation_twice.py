"""Arguments are checked where they are sent, and again where they arrive: the code may be newer by then."""

from datetime import date

import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from jobs.errors import InvalidPayload
from jobs.states import JobState
from tests.middleware.steps import error_of, job_of, put_unchecked


def test_nothing_is_sent_of_a_batch_in_which_one_job_does_not_fit(app: App, jobs: FakeJobs) -> None:
    @actor
    def count(number: int) -> None: ...

    with pytest.raises(InvalidPayload):
        app.broker.enqueue_many([count.message(1), count.message("two"), count.message(3)])  # type: ignore[arg-type]
    assert jobs.queued() == []


def test_an_old_payload_that_no_longer_fits_is_dead_lettered_at_once(app: App, jobs: FakeJobs) -> None:
    ran = []

    @actor
    def invoice(number: int, due: date) -> None:
        ran.append(number)

    job_id = put_unchecked(app, invoice.message(7, text="from the release before"))  # type: ignore[call-arg]
    assert jobs.run_all() == 1

    job = job_of(jobs, job_id)
    assert (job.state, job.attempts, job.dead_letter) == (JobState.FAILED, 1, "dead-letter")
    error = error_of(jobs, job_id)
    assert error["type"] == "InvalidPayload"
    assert error["message"] == (
        "invoice cannot take these arguments: due: field required; text: extra inputs are not permitted."
    )
    assert ran == []


def test_the_actor_gets_typed_arguments_also_of_a_job_that_was_put_by_other_hands(
    app: App, jobs: FakeJobs
) -> None:
    got = []

    @actor
    def invoice(number: int, due: date) -> None:
        got.append((number, due))

    put_unchecked(app, invoice.message("7", due="2026-03-01"))  # type: ignore[arg-type]
    jobs.run_all()
    assert got == [(7, date(2026, 3, 1))]


def test_an_actor_whose_signature_cannot_be_checked_is_refused_when_it_is_declared(app: App) -> None:
    class Odd:
        pass

    with pytest.raises(TypeError, match="The signature of actor odd cannot be checked"):

        @actor
        def odd(value: Odd) -> None: ...
