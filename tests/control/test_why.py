"""`why`: what stands between a job and its start, in sentences."""

import pytest

from control.service import JobService
from jobs.errors import JobNotFound
from jobs.memory import MemoryStore
from jobs.model import FetchRequest, NewJob, Outcome, RestScope, Scope, Verdict, WorkerInfo
from jobs.rules import QueueRules
from tests.control.board import small_app, work

QUEUE = "email-sync"
NOON, AT_NOON = 1_772_366_400_000, "2026-03-01 12:00:00 UTC"


@pytest.fixture
def clock():
    return [NOON]


@pytest.fixture
def store(clock):
    return MemoryStore(clock=lambda: clock[0])


@pytest.fixture
def jobs(store, tmp_path):
    """The service, with a free worker that knows every actor."""
    join(store)
    return JobService(small_app(store, tmp_path))


def join(store, owner="w1", queues=(QUEUE,), **facts):
    info = WorkerInfo(owner, "host-1", 7, "0.1", 8, queues, NOON, name=f"{owner}-name", **facts)
    store.register(info, lease_ms=3_600_000)


def put(store, job_id="j1", queue=QUEUE, **options):
    store.enqueue([NewJob(job_id, queue, "email_sync", b"", **options)])


def start(store, owner="w1", queue=QUEUE):
    return store.fetch(FetchRequest(owner, f"t-{owner}", 1, {queue: 1}, lease_ms=3_600_000)).jobs


def reasons(jobs, job_id="j1"):
    return jobs.why(job_id).reasons


def test_a_job_that_nothing_holds_back_says_so(jobs, store):
    put(store)

    assert reasons(jobs) == ["Nothing holds it back: the next free thread of a worker starts it."]


def test_a_paused_queue_and_a_paused_tenant_are_named(jobs, store):
    put(store, lane="acme")
    store.adjust(Scope(QUEUE), {"paused": True})
    store.adjust(Scope(QUEUE, "acme"), {"paused": True})

    assert reasons(jobs) == [
        "The queue email-sync is paused.",
        "The tenant acme is paused in email-sync.",
    ]


def test_a_delayed_job_says_until_when(jobs, store):
    put(store, delay_ms=60_000)

    assert reasons(jobs) == ["It is delayed until 2026-03-01 12:01:00 UTC."]


@pytest.mark.parametrize(
    ("scope", "says"),
    [
        (Scope(QUEUE), "The queue email-sync rests"),
        (Scope(QUEUE, "acme"), "The tenant acme rests in email-sync"),
        (Scope(QUEUE, "acme", "gmail:7"), "The gate gmail:7 of the tenant acme rests"),
    ],
)
def test_what_rests_is_named_with_the_time_and_the_reason(jobs, store, scope, says):
    put(store, lane="acme", gate="gmail:7")
    store.rest(scope, 90_000, "Gmail asked for a pause")

    assert reasons(jobs) == [f"{says} until 2026-03-01 12:01:30 UTC, because Gmail asked for a pause."]


def test_a_job_held_by_itself_says_until_when_and_why(jobs, store):
    put(store)
    (job,) = start(store)
    held = Verdict(job.id, job.token, Outcome.HELD, 5_000, rests=RestScope.JOB, reason="the door is closed")
    store.settle("w1", [held])

    assert reasons(jobs) == [
        "It is held by itself until 2026-03-01 12:00:05 UTC, because the door is closed."
    ]


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        (QueueRules(global_concurrency=1), "The queue email-sync runs 1 of at most 1 job."),
        (
            QueueRules(global_concurrency=1, share="mail"),
            "The queues that share their limits with email-sync run 1 of at most 1 job.",
        ),
        (QueueRules(lane_concurrency=1), "The tenant acme runs in email-sync 1 of at most 1 job."),
        (QueueRules(gate_concurrency=1), "The gate gmail:7 of the tenant acme runs 1 of at most 1 job."),
    ],
)
def test_a_full_cap_is_told_with_its_numbers(jobs, store, rules, says):
    store.configure({QUEUE: rules}, {})
    put(store, "j0", lane="acme", gate="gmail:7")
    start(store)
    put(store, lane="acme", gate="gmail:7")
    start(store, "w2")

    assert says in reasons(jobs)


def test_a_cap_with_room_is_not_mentioned(jobs, store):
    store.configure({QUEUE: QueueRules(global_concurrency=2)}, {})
    put(store, "j0")
    start(store)
    put(store)

    assert reasons(jobs) == ["Nothing holds it back: the next free thread of a worker starts it."]


def test_jobs_that_go_first_are_counted(jobs, store):
    for number in range(3):
        put(store, f"first-{number}", lane="acme")
    put(store, "other", lane="other")
    put(store, lane="acme")

    assert reasons(jobs) == ["3 jobs of the tenant acme go first; 5 jobs wait in email-sync."]


def test_a_queue_without_a_worker_says_so(jobs, store):
    put(store, queue="email-draft")

    assert reasons(jobs) == ["No living worker serves the queue email-draft."]


def test_workers_that_do_not_know_the_actor_are_named(store, tmp_path):
    join(store, actors=("count",))
    put(store)

    assert reasons(JobService(small_app(store, tmp_path))) == [
        "No living worker of the queue email-sync knows the actor email_sync."
    ]


def test_busy_workers_are_told_with_their_threads(store, tmp_path):
    join(store, running=8)
    put(store)

    assert reasons(JobService(small_app(store, tmp_path))) == [
        "Its workers are busy: 8 threads of 1 process."
    ]


def test_a_suspect_waits_for_an_empty_process(jobs, store, clock):
    store.fetch(FetchRequest("w9", "t9", 1, {QUEUE: 1}, lease_ms=1_000))
    put(store)
    store.fetch(FetchRequest("w9", "t10", 1, {QUEUE: 1}, lease_ms=1_000))
    clock[0] += 20_000
    store.renew("w1", 3_600_000)
    while not store.reclaim(3):
        clock[0] += 7_000
        store.renew("w1", 3_600_000)

    assert "It lost 1 worker while it ran, so it waits for a process that runs nothing beside it." in reasons(
        jobs
    )


def test_a_job_that_runs_says_where_since_when_and_whether_it_was_cancelled(jobs, store):
    put(store)
    start(store)
    store.cancel(["j1"])

    assert reasons(jobs) == [
        "It runs since 2026-03-01 12:00:00 UTC, attempt 1 of 3, on w1-name (host host-1, process 7).",
        "Its cancellation was asked for, and its worker was told.",
    ]


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (Outcome.COMPLETED, "It completed 2026-03-01 12:00:00 UTC."),
        (
            Outcome.FAILED,
            f"It failed for good {AT_NOON} after 1 attempt; its dead letter is in dead-letter: no.",
        ),
        (Outcome.CANCELLED, "It was cancelled 2026-03-01 12:00:00 UTC: no."),
    ],
)
def test_a_settled_job_says_how_it_ended(jobs, store, outcome, says):
    put(store)
    work(store, QUEUE, outcome, b'{"error": {"message": "no"}}')

    assert reasons(jobs) == [says]


def test_a_job_that_is_not_there_is_named(jobs):
    with pytest.raises(JobNotFound, match="there is no job 'nope'"):
        jobs.why("nope")
