"""`webhook_deliver` to a real receiver: signed, tried again as it asks, with a history of every try."""

from typing import Any

import pytest

from actors.composition import App
from actors.webhooks import webhook_deliver
from broker.testing import FakeJobs
from database.deliveries import Deliveries
from jobs.errors import InvalidPayload
from jobs.model import Job
from jobs.states import JobState
from tests.actors.conftest import SetUp, endpoint, from_json, receiving
from tests.ports import free_port


def send(jobs: FakeJobs, to: str = "shop", **options: Any) -> str:
    message = webhook_deliver.send_with_options(args=(to, "invoice.paid", {"id": 7}), **options)
    jobs.run_all()
    return message.message_id


def job_of(jobs: FakeJobs, job_id: str) -> Job:
    job = jobs.store.get(job_id)
    assert job is not None
    return job


def history(app: App, job_id: str, tenant: str = "") -> list[tuple[int, str, int | None]]:
    rows = Deliveries(app.engine(), tenant).history(job_id)
    assert {row.webhook_id for row in rows} <= {job_id}
    return [(row.attempt, row.outcome, row.status_code) for row in rows]


def test_an_endpoint_that_cannot_take_it_now_gets_it_again_under_the_same_id(
    set_up: SetUp, jobs: FakeJobs
) -> None:
    with receiving(failures=2) as (receiver, url):
        app = set_up(webhooks={"shop": endpoint(url)})
        job_id = send(jobs)

        first = job_of(jobs, job_id)
        assert first.state is JobState.DELAYED
        assert (first.due_at or 0) - first.created_at == 1_000, "the receiver asked for it: Retry-After: 1"
        jobs.advance(1)
        assert jobs.run_all() == 1
        second = job_of(jobs, job_id)
        assert (second.due_at or 0) - (first.due_at or 0) == 60_000, "CATALOGUE: exponential 30 s"
        jobs.advance(60)
        jobs.run_all()

        done = job_of(jobs, job_id)
        assert (done.state, done.attempts) == (JobState.COMPLETED, 3)
        assert from_json(done.record)["result"] == {"status": 204, "attempt": 3}
        assert receiver.ledger == {
            job_id: {"attempts": 3, "statuses": [503, 503, 204], "valid": [True] * 3, "path": "/"}
        }
        assert history(app, job_id) == [(1, "failed", 503), (2, "failed", 503), (3, "delivered", 204)]


def test_an_endpoint_that_is_gone_is_disabled_and_gets_nothing_more(set_up: SetUp, jobs: FakeJobs) -> None:
    with receiving() as (receiver, url):
        app = set_up(webhooks={"shop": endpoint(url + "/gone"), "other": endpoint(url)})
        first, second = send(jobs), send(jobs)

        assert [job_of(jobs, job).state for job in (first, second)] == [JobState.FAILED] * 2
        assert job_of(jobs, first).attempts == job_of(jobs, second).attempts == 1
        assert from_json(job_of(jobs, second).record)["error"]["message"] == (
            "The webhook endpoint named in endpoint_id is disabled: it answered 410 (gone)."
        )
        assert list(receiver.ledger) == [first], "the second was not even tried"
        assert history(app, first) == [(1, "failed", 410)]
        assert job_of(jobs, send(jobs, "other")).state is JobState.COMPLETED

        Deliveries(app.engine()).enable_endpoint("shop")
        assert send(jobs) in receiver.ledger


def test_one_tenants_disabled_endpoint_is_not_anothers(set_up: SetUp, jobs: FakeJobs) -> None:
    with receiving() as (receiver, url):
        app = set_up(webhooks={"shop": endpoint(url + "/gone")})
        of_acme, of_other = send(jobs, tenant_id="acme"), send(jobs, tenant_id="other")

        assert set(receiver.ledger) == {of_acme, of_other}
        assert history(app, of_acme, "acme") == [(1, "failed", 410)]
        assert history(app, of_acme, "other") == []


def test_an_endpoint_that_refuses_the_message_is_not_asked_again(set_up: SetUp, jobs: FakeJobs) -> None:
    with receiving() as (_, url):
        app = set_up(webhooks={"shop": endpoint(url + "/refuse")})
        job_id = send(jobs)

        job = job_of(jobs, job_id)
        assert (job.state, job.attempts) == (JobState.FAILED, 1)
        assert history(app, job_id) == [(1, "failed", 400)]
        assert not Deliveries(app.engine()).is_disabled("shop")


def test_an_endpoint_that_cannot_be_reached_is_tried_again(set_up: SetUp, jobs: FakeJobs) -> None:
    app = set_up(webhooks={"shop": endpoint(f"http://127.0.0.1:{free_port()}")})
    job_id = send(jobs)

    job = job_of(jobs, job_id)
    assert (job.state, (job.due_at or 0) - job.created_at) == (JobState.DELAYED, 30_000)
    assert history(app, job_id) == [(1, "failed", None)]


def test_a_private_address_is_refused_unless_the_endpoint_allows_it(set_up: SetUp, jobs: FakeJobs) -> None:
    with receiving() as (receiver, url):
        app = set_up(webhooks={"shop": endpoint(url, allow_private=False)})
        job_id = send(jobs)

        assert (job_of(jobs, job_id).state, job_of(jobs, job_id).attempts) == (JobState.FAILED, 1)
        assert history(app, job_id) == [(1, "failed", None)]
        assert receiver.ledger == {}


def test_an_endpoint_that_the_settings_do_not_know_is_a_permanent_failure(jobs: FakeJobs) -> None:
    job = job_of(jobs, send(jobs, "shp"))
    assert (job.state, job.attempts) == (JobState.FAILED, 1)
    message = from_json(job.record)["error"]["message"]
    assert message == (
        "There is no webhook endpoint of the name given in endpoint_id; add [webhooks.NAME] to the settings."
    )


@pytest.mark.parametrize("data", [None, [], "text"])
def test_data_is_an_object(jobs: FakeJobs, data: Any) -> None:
    with pytest.raises(InvalidPayload, match="data: input should be a valid dictionary"):
        webhook_deliver.send("shop", "invoice.paid", data)
