"""Counts and health of queues through the service."""

import pytest

from actors.composition import App
from control.service import JobService, NewJobRequest, QueueService, WorkerService
from jobs.errors import StoreUnavailable, UnknownQueue
from jobs.memory import MemoryStore
from jobs.model import FetchRequest, NewJob, Outcome, Scope, WorkerInfo
from tests.control.board import small_app, work

SYNC = {"user_id": "u1", "account_id": "a1"}


@pytest.fixture
def queues(app: App) -> QueueService:
    return QueueService(app)


def add(app, queue, data, times=1):
    for _ in range(times):
        JobService(app).add(NewJobRequest(queue=queue, data=data))


def worker(owner="w1", queues=("email-sync",), threads=8):
    return WorkerInfo(owner, "host", 7, "0.1", threads, queues, started_at=1_000, name=f"{owner}-name")


def test_metrics_count_every_state(app, queues, store):
    add(app, "email-sync", SYNC, times=4)
    work(store, "email-sync")
    work(store, "email-sync", Outcome.FAILED)
    store.fetch(FetchRequest("w1", "t", 1, {"email-sync": 1}))
    store.register(worker(), lease_ms=60_000)

    metrics = queues.metrics("email-sync")

    assert (metrics.waiting, metrics.active, metrics.completed, metrics.failed) == (1, 1, 1, 1)
    assert (metrics.completed_total, metrics.failed_total) == (1, 1)
    assert metrics.total == 2
    assert metrics.worker_count == 1
    assert metrics.available == 4  # concurrency 5, one runs
    store.adjust(Scope("email-sync"), {"concurrency": 3})
    assert queues.metrics("email-sync").available == 2
    assert metrics.oldest_waiting_ms is not None
    assert metrics.paused is False


def test_metrics_have_the_names_of_the_documents(queues):
    assert set(queues.metrics("email-sync").to_json()) >= {
        *("waiting", "active", "completed", "failed", "delayed", "paused", "workerCount"),
        *("blocked", "available", "retries", "oldestWaitingMs", "completedTotal", "failedTotal", "total"),
        "resting",
    }


def test_a_document_name_sums_up_its_queues(app, queues):
    add(app, "email-sync", SYNC, times=2)
    add(app, "email-draft", {"thread_id": "t"})

    metrics = queues.metrics("email")

    assert (metrics.queue, metrics.waiting, metrics.total) == ("email", 3, 3)


def test_the_dead_letter_queue_has_metrics_like_any_queue(app, queues, store):
    add(app, "email-sync", SYNC)
    work(store, "email-sync", Outcome.FAILED)

    assert queues.metrics("dead-letter").dead_letters == 1


def test_an_unknown_queue_is_refused_with_the_nearest(queues):
    with pytest.raises(UnknownQueue, match="did you mean email-sync"):
        queues.metrics("email-sinc")


def test_all_is_well_with_a_worker_on_every_queue(app, queues, store):
    every = tuple(actor.queue_name for actor in app.broker.actors.values())
    store.register(worker(queues=(*every, "dead-letter")), lease_ms=60_000)

    health = queues.health()

    assert health.status == "ok"
    assert health.store.connected
    assert {queue.status for queue in health.queues} == {"ok"}
    assert [one.name for one in health.workers] == ["w1-name"]


def test_jobs_that_no_worker_takes_make_their_queue_degraded(app, queues, store):
    store.register(worker(queues=("email-draft",)), lease_ms=60_000)
    add(app, "email-sync", SYNC)

    health = queues.health()

    by_name = {queue.name: queue for queue in health.queues}
    assert health.status == "degraded"
    assert by_name["email-sync"].reasons == ["no worker takes its jobs"]
    assert by_name["email-draft"].status == "ok"


def test_a_long_wait_and_a_long_queue_are_reasons(tmp_path):
    now = [1_000_000]
    store = MemoryStore(clock=lambda: now[0])
    app = small_app(store, tmp_path)
    store.register(worker(), lease_ms=600_000)
    store.enqueue([NewJob(f"j{number}", "email-sync", "email_sync", b"") for number in range(1_001)])
    now[0] += 45_000

    health = QueueService(app).health()

    (queue,) = [queue for queue in health.queues if queue.name == "email-sync"]
    assert queue.reasons == ["1,001 jobs wait", "the oldest job has waited for 45 s"]


def test_a_worker_whose_heartbeat_stopped_is_not_listed(tmp_path):
    now = [1_000_000]
    store = MemoryStore(clock=lambda: now[0])
    store.register(worker("w1"), lease_ms=15_000)
    store.register(worker("w2"), lease_ms=60_000)
    now[0] += 20_000

    listed = WorkerService(small_app(store, tmp_path)).list()

    assert [one.name for one in listed] == ["w2-name"]


def test_health_reports_a_store_that_is_away_instead_of_failing(tmp_path):
    class AwayStore(MemoryStore):
        def ping(self):
            raise StoreUnavailable("Redis at 127.0.0.1:1 cannot be reached")

    health = QueueService(small_app(AwayStore(), tmp_path)).health()

    assert health.status == "down"
    assert health.store.message == "Redis at 127.0.0.1:1 cannot be reached"
