"""What an attempt cost, and its arguments: sealed in the audit, or not there."""

from base64 import b64decode

import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from jobs.errors import CallboardError
from jobs.events import AttemptDetail
from middleware.audit import LARGEST_INPUTS, Audit, SealedInputs, cost
from middleware.delivery import Delivery
from tests.middleware.steps import details, events

SECRET = "ada.lovelace@example.org"


def seal(job: Delivery) -> SealedInputs:
    """Stands in for a key: it is only looked at whether the row has what was given."""
    return SealedInputs(b"sealed " + str(len(job.kwargs)).encode(), "d1gest")


def refuse(job: Delivery) -> SealedInputs:
    raise CallboardError("the key of the tenant is gone")


def detail_with(app: App, jobs: FakeJobs, given: Audit) -> AttemptDetail:
    """What a job that fails leaves with this seal in the stack."""
    (audit,) = [one for one in app.broker.middleware if isinstance(one, Audit)]
    vars(audit).update(vars(given))

    @actor(attempts=1)
    def charge(owner: str) -> None:
        raise ValueError("declined")

    charge.send_with_options(kwargs={"owner": SECRET})
    jobs.run_all()
    (detail,) = details(jobs)
    return detail


def test_what_an_attempt_cost_is_summed_and_kept(jobs: FakeJobs) -> None:
    @actor
    def ask() -> None:
        cost(0.5)
        cost(0.25)

    ask.send()
    jobs.run_all()
    (detail,) = details(jobs)
    assert (detail.cost, detail.cost_unit) == ("0.75", "usd")


def test_the_cost_of_an_attempt_that_fails_is_kept_too(jobs: FakeJobs) -> None:
    @actor(attempts=1)
    def ask() -> None:
        cost(1_200, "tokens")
        raise ValueError("too long")

    ask.send()
    jobs.run_all()
    (detail,) = details(jobs)
    assert (detail.cost, detail.cost_unit, detail.error_type) == ("1200.0", "tokens", "ValueError")


@pytest.mark.parametrize(
    ("amount", "unit"), [(-1, "usd"), (float("nan"), "usd"), (float("inf"), "usd"), (1, ""), (1, "x" * 21)]
)
def test_what_is_no_cost_is_refused(amount: float, unit: str) -> None:
    with pytest.raises(ValueError, match="cost"):
        cost(amount, unit)


def test_a_second_unit_is_refused(jobs: FakeJobs) -> None:
    @actor(attempts=1)
    def ask() -> None:
        cost(1, "tokens")
        cost(1, "usd")

    ask.send()
    jobs.run_all()
    (detail,) = details(jobs)
    assert "costs in tokens already" in detail.error_message


def test_outside_a_worker_a_cost_is_nobodys(jobs: FakeJobs) -> None:
    cost(1)
    assert events(jobs) == []


def test_without_a_seal_there_are_no_arguments(app: App, jobs: FakeJobs) -> None:
    detail = detail_with(app, jobs, Audit())
    assert (detail.inputs, detail.input_digest) == ("", "")


def test_arguments_of_a_failure_are_there_sealed(app: App, jobs: FakeJobs) -> None:
    detail = detail_with(app, jobs, Audit(seal))
    assert (b64decode(detail.inputs), detail.input_digest) == (b"sealed 1", "d1gest")
    assert SECRET not in str(detail)


def test_large_arguments_leave_their_digest_alone(app: App, jobs: FakeJobs) -> None:
    detail = detail_with(app, jobs, Audit(lambda job: SealedInputs(b"x" * (LARGEST_INPUTS + 1), "d1gest")))
    assert (detail.inputs, detail.input_digest) == ("", "d1gest")


def test_a_seal_that_refuses_does_not_cost_the_row(
    app: App, jobs: FakeJobs, caplog: pytest.LogCaptureFixture
) -> None:
    detail = detail_with(app, jobs, Audit(refuse))
    assert (detail.error_type, detail.inputs) == ("ValueError", "")
    assert "the key of the tenant is gone" in caplog.text
    assert SECRET not in caplog.text
