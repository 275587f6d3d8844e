"""`SentMessage.reason`: why a message made no job."""

import pytest

from actors.declare import actor
from broker.testing import FakeJobs
from jobs.errors import JobIdTaken


def test_a_sent_message_names_the_reason(jobs: FakeJobs) -> None:
    @actor(queue="bills")
    def bill(number: int) -> None: ...

    @actor(queue="bills")
    def invoice(number: int) -> None: ...

    first = bill.send_with_options(args=(7,), job_id="bill-7", unique=True)
    assert (first.created, first.reason) == (True, "")
    again = bill.send_with_options(args=(7,), job_id="bill-7")
    assert (again.created, again.reason) == (False, "id")
    other = bill.send_with_options(args=(7,), unique=True)
    assert (other.created, other.reason, other.message_id) == (False, "unique", "bill-7")
    with pytest.raises(JobIdTaken):
        invoice.send_with_options(args=(7,), job_id="bill-7")

    jobs.store.remove(["bill-7"])
    late = invoice.send_with_options(args=(7,), job_id="bill-7")
    assert (late.created, late.reason, jobs.queued()) == (False, "remembered", [])
    assert invoice.send_with_options(args=(7,), job_id="bill-8").created
