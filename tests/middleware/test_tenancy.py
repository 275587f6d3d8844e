"""Whose job it is: from the call, from the actor, or from the context in which it is sent."""

import asyncio
import threading
from contextvars import copy_context
from typing import Any

import pytest
from dramatiq import group, pipeline

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs, inline
from jobs.errors import InvalidPayload
from jobs.model import Job
from jobs.states import JobState
from middleware.current import current_job
from middleware.tenancy import tenant
from tests.fundamentals.stage import StartWorker
from tests.middleware.steps import error_of, job_of
from tests.waiting import eventually


def whose(jobs: FakeJobs) -> list[tuple[str, str]]:
    """Tenant and user of the jobs that wait, in order."""
    queued = sorted(jobs.queued(), key=lambda job: job.created_at)
    return [(job.lane, jobs._broker.decode(job).options.get("user_id", "")) for job in queued]


@pytest.fixture
def task(app: App) -> Any:
    @actor
    def task(number: int = 0) -> None: ...

    return task


def test_what_is_sent_within_is_the_tenants(jobs: FakeJobs, task: Any) -> None:
    with tenant("acme", user_id="u1"):
        task.send()
    task.send()
    assert sorted(whose(jobs)) == [("", ""), ("acme", "u1")]


def test_the_inner_one_holds_and_takes_no_user_of_the_outer_one(jobs: FakeJobs, task: Any) -> None:
    with tenant("acme", user_id="u1"):
        with tenant("globex"):
            task.send()
        with tenant(""):
            task.send()
        task.send()
    assert sorted(whose(jobs)) == [("", ""), ("acme", "u1"), ("globex", "")]


def test_it_ends_when_the_block_fails(jobs: FakeJobs, task: Any) -> None:
    with pytest.raises(LookupError), tenant("acme"):
        raise LookupError
    task.send()
    assert whose(jobs) == [("", "")]


@pytest.mark.parametrize(
    ("options", "is_of"),
    [
        ({"tenant_id": "globex"}, ("globex", "")),  # u1 is a user of acme
        ({"tenant_id": "globex", "user_id": "u2"}, ("globex", "u2")),
        ({"tenant_id": ""}, ("", "")),
        ({"tenant_id": "acme"}, ("acme", "u1")),
        ({"tenant_id": None}, ("acme", "u1")),
        ({"user_id": "u2"}, ("acme", "u2")),
    ],
)
def test_what_a_call_says_wins(
    jobs: FakeJobs, task: Any, options: dict[str, Any], is_of: tuple[str, str]
) -> None:
    with tenant("acme", user_id="u1"):
        task.send_with_options(**options)
    assert whose(jobs) == [is_of]


def test_what_the_actor_says_wins_too(jobs: FakeJobs) -> None:
    @actor(tenant_id="house")
    def sweep() -> None: ...

    with tenant("acme", user_id="u1"):
        sweep.send()
    assert whose(jobs) == [("house", "")]


def test_ids_are_apart_by_tenant(app: App, jobs: FakeJobs, task: Any) -> None:
    with tenant("acme"):
        sent = task.send_with_options(job_id="invoice-7")
        message = task.message_with_options(job_id="invoice-8")
        app.broker.enqueue(message)
    other = task.send_with_options(job_id="invoice-7")
    assert (sent.message_id, sent.created) == ("acme~invoice-7", True)
    assert (other.message_id, other.created) == ("invoice-7", True)
    # Who waits for the result of a message in a group knows it by this id.
    assert message.message_id == "acme~invoice-8"
    assert job_of(jobs, message).lane == "acme"


@pytest.mark.parametrize("wrong", ["a\nb", "x" * 101])
def test_a_tenant_that_cannot_be_one_is_refused(wrong: str) -> None:
    with (
        pytest.raises(InvalidPayload, match="tenant_id must be 1 to 100 printable characters"),
        tenant(wrong),
    ):
        pass


def test_a_user_that_cannot_be_one_is_refused_at_send(jobs: FakeJobs, task: Any) -> None:
    with tenant("acme", user_id="u" * 201), pytest.raises(InvalidPayload, match="user_id must be a text"):
        task.send()
    assert jobs.queued() == []


# Inside a job


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_what_a_job_sends_is_its_tenants(jobs: FakeJobs, task: Any, kind: str) -> None:
    def parent() -> None:
        task.send()
        task.send_with_options(tenant_id="globex")

    async def parent_async() -> None:
        await asyncio.gather(asyncio.to_thread(task.send), send_later())

    async def send_later() -> None:
        await asyncio.sleep(0)
        task.send_with_options(tenant_id="globex")

    declared = actor(queue="parent")(parent if kind == "plain" else parent_async)
    declared.send_with_options(tenant_id="acme", user_id="u1")
    jobs.run_all()
    done = jobs.store.list_jobs("task", JobState.COMPLETED, 10)
    assert sorted(job.lane for job in done) == ["acme", "globex"]
    users = {job.lane: jobs._broker.decode(job).options.get("user_id") for job in done}
    assert users == {"acme": "u1", "globex": None}


def test_it_holds_in_a_thread_that_is_started_in_a_copy_of_the_context(jobs: FakeJobs, task: Any) -> None:
    @actor
    def parent() -> None:
        thread = threading.Thread(target=copy_context().run, args=(task.send,))
        thread.start()
        thread.join()

    parent.send_with_options(tenant_id="acme")
    jobs.run_all()
    assert [job.lane for job in jobs.store.list_jobs("task", JobState.COMPLETED, 10)] == ["acme"]


def test_a_retried_job_sends_for_its_tenant_again(jobs: FakeJobs, task: Any) -> None:
    @actor(attempts=2, backoff={"delay": 0})
    def parent() -> None:
        task.send()
        raise LookupError

    parent.send_with_options(tenant_id="acme")
    jobs.run_all()
    assert [job.lane for job in jobs.store.list_jobs("task", JobState.COMPLETED, 10)] == ["acme", "acme"]


def test_what_follows_a_job_is_its_tenants(app: App, jobs: FakeJobs) -> None:
    @actor
    def first() -> int:
        return 1

    @actor
    def second(number: int) -> None: ...

    @actor
    def failing() -> None:
        raise LookupError

    @actor
    def told(*what: Any) -> None: ...

    with tenant("acme", user_id="u1"):
        pipeline([first.message(), second.message()], broker=app.broker).run()
        first.send_with_options(on_success=told)
        failing.send_with_options(attempts=1, on_failure=told)
        group([first.message()], broker=app.broker).run()
    jobs.run_all()
    lanes = {
        queue: [job.lane for job in jobs.store.list_jobs(queue, JobState.COMPLETED, 10)]
        for queue in ("first", "second", "told")
    }
    assert lanes == {"first": ["acme"] * 3, "second": ["acme"], "told": ["acme"] * 2}


def test_a_job_of_nobody_that_runs_at_once_in_a_test_sends_for_nobody(app: App, task: Any) -> None:
    @actor
    def parent() -> None:
        task.send()

    with inline(app.broker) as jobs, tenant("acme"):
        parent.send_with_options(tenant_id="")
        task.send()
        lanes = [job.lane for job in jobs.store.list_jobs("task", JobState.COMPLETED, 10)]
    assert sorted(lanes) == ["", "acme"]


def test_on_a_real_worker_the_tenant_goes_from_job_to_job_and_to_no_other(
    real_app: App, running_worker: StartWorker
) -> None:
    seen: dict[str, list[tuple[str, str]]] = {"grandchild": []}

    @actor
    def grandchild() -> None:
        job = current_job()
        assert job is not None
        seen["grandchild"].append((job.tenant_id, job.user_id))

    @actor
    async def child() -> None:
        await asyncio.sleep(0)
        grandchild.send()

    @actor
    def parent() -> None:
        child.send()

    expected = []
    for number in range(8):
        with tenant(f"t{number}", user_id=f"u{number}"):
            parent.send()
        parent.send()
        expected += [(f"t{number}", f"u{number}"), ("", "")]
    running_worker()
    eventually(lambda: len(seen["grandchild"]) == len(expected))
    assert sorted(seen["grandchild"]) == sorted(expected)


# A queue that takes only jobs of a tenant


class TestRequired:
    @pytest.fixture
    def policies(self) -> dict[str, Any]:
        return {"queues": {"invoice": {"require_tenant": True}}}

    @pytest.fixture
    def invoice(self, app: App) -> Any:
        @actor
        def invoice() -> None: ...

        return invoice

    def test_a_job_without_one_is_refused(self, app: App, jobs: FakeJobs, invoice: Any) -> None:
        for send in (
            invoice.send,
            lambda: invoice.send_with_options(tenant_id=""),
            lambda: app.broker.enqueue_many([invoice.message()]),
        ):
            with pytest.raises(InvalidPayload) as refusal:
                send()
            assert str(refusal.value) == (
                "Queue invoice takes only jobs of a tenant: give tenant_id=… (on the command line --tenant), "
                'or send within `with tenant("…"):`.'
            )
        assert jobs.queued() == []

    def test_a_job_with_one_is_taken(self, jobs: FakeJobs, invoice: Any) -> None:
        invoice.send_with_options(tenant_id="acme")
        with tenant("globex"):
            invoice.send()

        @actor(queue="invoice", tenant_id="house")
        def of_the_house() -> None: ...

        of_the_house.send()
        lanes: list[Job] = jobs.queued("invoice")
        assert sorted(job.lane for job in lanes) == ["acme", "globex", "house"]

    def test_inside_a_job_the_refusal_is_the_jobs_failure(self, jobs: FakeJobs, invoice: Any) -> None:
        @actor
        def parent() -> None:
            invoice.send()

        message = parent.send()
        jobs.run_all()
        assert error_of(jobs, message)["type"] == "InvalidPayload"
        assert "Queue invoice takes only jobs of a tenant" in error_of(jobs, message)["message"]
