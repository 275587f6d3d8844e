"""6. A running job says how far it is; anyone can see it meanwhile, and the last word stays with the job."""

import threading

import orjson
import pytest

from actors.composition import App
from actors.declare import actor
from broker.redis.redis_store import RedisStore
from broker.testing import FakeJobs
from middleware.current import current_job
from middleware.progress import progress
from tests.fundamentals.stage import StartWorker
from tests.waiting import eventually


def test_progress_is_seen_while_the_job_runs(real_app: App, running_worker: StartWorker) -> None:
    go_on = threading.Event()

    @actor
    def long(pages: int) -> None:
        progress(3, pages, "page 3")
        assert go_on.wait(40)

    running_worker()
    message = long.send(12)
    elsewhere = RedisStore(real_app.redis_address, real_app.settings.redis.namespace)
    try:
        seen = eventually(lambda: (job := elsewhere.get(message.message_id)) and job.progress)
    finally:
        go_on.set()
        elsewhere.close()
    assert orjson.loads(seen) == {"percent": 25.0, "done": 3, "total": 12, "message": "page 3"}


def test_the_last_progress_stays_with_the_job(jobs: FakeJobs) -> None:
    @actor
    def long() -> None:
        for done in range(10):
            progress(10 * done)

    message = long.send()
    jobs.run_all()
    job = jobs.store.get(message.message_id)
    assert job is not None
    assert orjson.loads(job.progress or b"")["percent"] == 90


@pytest.mark.parametrize(
    ("done", "total", "percent"), [(-5, 100, 0), (7, 5, 100), (1, 3, 33.3), (0.5, 1, 50)]
)
def test_percent_stays_between_0_and_100(jobs: FakeJobs, done: float, total: float, percent: float) -> None:
    @actor
    def long() -> None:
        progress(done, total)

    message = long.send()
    jobs.run_all()
    job = jobs.store.get(message.message_id)
    assert job is not None
    assert orjson.loads(job.progress or b"")["percent"] == percent


def test_progress_needs_no_job_so_that_an_actor_can_be_called_as_a_function() -> None:
    progress(1, 2)
    assert current_job() is None


def test_an_actor_can_ask_which_job_it_is(jobs: FakeJobs) -> None:
    seen = []

    @actor
    async def who() -> None:
        seen.append(current_job())

    message = who.send_with_options(tenant_id="acme", user_id="ada")
    jobs.run_all()

    (job,) = seen
    assert job is not None
    assert (job.id, job.attempt, job.tenant_id, job.user_id) == (message.message_id, 1, "acme", "ada")
    assert current_job() is None
