"""12. `raise HoldJob(seconds, reason)` says: not now. The job goes back to its place as if nothing had been.

No attempt is spent and no turn of its tenant. What rests for that time is the job alone, its lane (the
tenant in this queue, or the gate the job has), or the whole queue. A rest ends with its time, or when
somebody calls `wake`.
"""

import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs, inline
from jobs.errors import HoldJob
from jobs.model import Job, Scope
from jobs.states import JobState
from tests.fundamentals.stage import StartWorker
from tests.waiting import eventually

HOUR = 3_600


def stored(app: App, job_id: str) -> Job:
    job = app.store.get(job_id)
    assert job is not None
    return job


def test_a_held_job_waits_with_the_reason_and_has_spent_nothing(
    real_app: App, running_worker: StartWorker
) -> None:
    runs: list[str] = []

    @actor(attempts=1)
    def refresh(account: str) -> str:
        runs.append(account)
        if len(runs) == 1:
            raise HoldJob(HOUR, "the provider asks for patience")
        return "fresh"

    running_worker()
    message = refresh.send("a1")
    job = eventually(lambda: (job := stored(real_app, message.message_id)).held_until and job)
    assert (job.state, job.attempts) == (JobState.WAITING, 0)
    assert job.held_reason == "the provider asks for patience"

    assert real_app.store.promote([job.id]) == [True]  # an operator thinks otherwise
    assert message.get_result(block=True) == "fresh"
    assert stored(real_app, job.id).attempts == 1, "its only one"


def test_the_time_of_a_rest_is_counted_by_the_store(real_app: App, running_worker: StartWorker) -> None:
    runs: list[int] = []

    @actor
    def refresh() -> int:
        runs.append(1)
        if len(runs) == 1:
            raise HoldJob(0.2, "a moment")
        return len(runs)

    running_worker()
    assert refresh.send().get_result(block=True) == 2


def test_others_overtake_a_job_that_is_held_alone(jobs: FakeJobs) -> None:
    done: list[str] = []

    @actor
    def refresh(account: str) -> None:
        if account == "a1" and not done:
            raise HoldJob(60, "locked")
        done.append(account)

    for account in ("a1", "a2"):
        refresh.send(account)
    jobs.run_all()
    assert done == ["a2"]
    jobs.advance(seconds=60)
    jobs.run_all()
    assert done == ["a2", "a1"]


def test_a_lane_that_rests_is_one_tenants_and_the_order_in_it_is_kept(jobs: FakeJobs) -> None:
    done: list[tuple[str, int]] = []
    closed = True

    @actor
    def call(tenant: str, number: int) -> None:
        if tenant == "acme" and closed:
            raise HoldJob(60, "its quota is used up", rests="lane")
        done.append((tenant, number))

    for number in (1, 2):
        for tenant in ("acme", "other"):
            call.send_with_options(args=(tenant, number), tenant_id=tenant)
    jobs.run_all()
    assert done == [("other", 1), ("other", 2)]

    closed = False
    jobs.store.wake(Scope("call", "acme"))
    jobs.run_all()
    assert done[2:] == [("acme", 1), ("acme", 2)]


def test_with_a_gate_only_the_gate_rests(jobs: FakeJobs) -> None:
    done: list[str] = []

    @actor
    def fetch(mailbox: str) -> None:
        if mailbox == "m1" and len(done) < 2:
            raise HoldJob(60, "too many connections", rests="lane")
        done.append(mailbox)

    for mailbox in ("m1", "m1", "m2", "m2"):
        fetch.send_with_options(args=(mailbox,), tenant_id="acme", gate=f"mailbox:{mailbox}")
    assert jobs.run_all() == 3, "one of m1 was tried, the second was not"
    assert done == ["m2", "m2"]
    jobs.advance(seconds=60)
    jobs.run_all()
    assert done == ["m2", "m2", "m1", "m1"]


def test_a_whole_queue_can_rest(jobs: FakeJobs) -> None:
    tries: list[int] = []

    @actor
    def call(number: int) -> None:
        tries.append(number)
        if len(tries) == 1:
            raise HoldJob(60, "the provider is down", rests="queue")

    for number in range(3):
        call.send(number)
    jobs.run_all()
    assert tries == [0]
    jobs.advance(seconds=60)
    jobs.run_all()
    assert tries == [0, 0, 1, 2]


def test_inline_raises_it_because_the_job_has_not_run(app: App) -> None:
    @actor
    def call() -> None:
        raise HoldJob(60, "not now")

    with inline(app.broker), pytest.raises(HoldJob, match="not now"):
        call.send()
