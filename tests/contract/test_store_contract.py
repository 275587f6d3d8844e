"""What every job store promises. Read it as the manual of the port `jobs.store.JobStore`."""

import time

from jobs.model import NewJob, Outcome, Retention, Settled, WorkerInfo
from jobs.states import JobState
from jobs.store import JobStore
from tests.contract.steps import QUEUE, a_job, fetch, ids, settle
from tests.waiting import eventually


def test_a_job_waits_until_it_is_fetched(store: JobStore) -> None:
    store.enqueue([a_job("one", payload=b"hello")])
    assert store.get("one").state is JobState.WAITING  # type: ignore[union-attr]

    (job,) = fetch(store).jobs

    assert (job.id, job.payload, job.attempt, job.token) == ("one", b"hello", 1, 1)
    assert store.get("one").state is JobState.ACTIVE  # type: ignore[union-attr]
    assert fetch(store, "worker-2").jobs == []


def test_jobs_run_by_priority_and_then_first_come_first_served(store: JobStore) -> None:
    store.enqueue(
        [a_job("normal"), a_job("late", priority=9), a_job("normal-2"), a_job("urgent", priority=1)]
    )
    assert ids(fetch(store)) == ["urgent", "normal", "normal-2", "late"]


def test_the_same_id_twice_is_one_job(store: JobStore) -> None:
    first, second = store.enqueue([a_job("one"), a_job("one")])
    assert (first.created, second.created) == (True, False)
    assert len(fetch(store).jobs) == 1


def test_an_id_that_just_left_the_store_is_not_taken_again(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    (job,) = fetch(store).jobs
    settle(store, job, Outcome.COMPLETED, keep=0)
    assert store.get("one") is None
    assert store.enqueue([a_job("one")])[0].created is False


def test_a_fetch_repeated_after_a_lost_reply_returns_the_same_jobs(store: JobStore) -> None:
    store.enqueue([a_job("one"), a_job("two")])
    first = fetch(store, credits=1, token="t1")
    again = fetch(store, credits=1, token="t1")
    assert ids(first) == ids(again) == ["one"]
    assert again.jobs[0].attempt == 1
    assert ids(fetch(store, credits=1, token="t2")) == ["two"]


def test_no_more_is_fetched_than_the_process_can_start(store: JobStore) -> None:
    store.enqueue([a_job(str(n)) for n in range(9)] + [a_job("other", queue="reports")])
    fetched = fetch(store, credits=5, queues=[QUEUE, "reports"], each=3)
    assert sorted(ids(fetched)) == ["0", "1", "2", "other"]
    assert fetched.more == (QUEUE,)


def test_a_cap_over_all_workers_holds(store: JobStore) -> None:
    store.enqueue([a_job("one"), a_job("two")])
    (job,) = fetch(store, "worker-1", cap=1).jobs
    assert fetch(store, "worker-2", cap=1).jobs == []
    settle(store, job, Outcome.COMPLETED)
    assert ids(fetch(store, "worker-2", cap=1)) == ["two"]


def test_queues_take_turns(store: JobStore) -> None:
    for queue in ("a", "b"):
        store.enqueue([a_job(f"{queue}{n}", queue=queue) for n in range(3)])
    turns = [fetch(store, credits=1, queues=["a", "b"]).jobs[0].queue for _ in range(4)]
    assert sorted(turns[:2]) == ["a", "b"]
    assert sorted(turns[2:]) == ["a", "b"]


def test_a_delayed_job_is_promoted_when_it_falls_due(store: JobStore) -> None:
    store.enqueue([a_job("soon", delay_ms=150), a_job("later", delay_ms=600_000)])
    first = fetch(store)
    assert first.jobs == []
    assert first.next_due is not None
    assert 0 < first.next_due - first.now <= 150
    assert store.get("soon").state is JobState.DELAYED  # type: ignore[union-attr]

    fetched = eventually(lambda: fetch(store).jobs)

    assert [job.id for job in fetched] == ["soon"]
    assert store.get("later").state is JobState.DELAYED  # type: ignore[union-attr]


def test_run_at_is_an_absolute_time(store: JobStore) -> None:
    soon = time.time_ns() // 1_000_000 + 3_600_000
    store.enqueue([a_job("one", run_at_ms=soon), a_job("past", run_at_ms=1)])
    assert store.get("one").due_at == soon  # type: ignore[union-attr]
    assert ids(fetch(store)) == ["past"]


def test_a_completed_job_keeps_its_result_and_progress(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    (job,) = fetch(store).jobs
    assert settle(store, job, Outcome.COMPLETED, record=b'{"result":1}', progress=b'{"percent":100}')
    found = store.get("one")
    assert found is not None
    assert (found.state, found.record, found.progress) == (
        JobState.COMPLETED,
        b'{"result":1}',
        b'{"percent":100}',
    )
    assert found.finished_at is not None
    assert found.owner is None


def test_a_retry_waits_for_its_backoff_and_spends_an_attempt(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    (job,) = fetch(store).jobs
    settle(store, job, Outcome.RETRY, delay_ms=100)
    assert store.get("one").state is JobState.DELAYED  # type: ignore[union-attr]
    (again,) = eventually(lambda: fetch(store).jobs)
    assert (again.attempt, again.token) == (2, 2)


def test_a_dead_letter_is_kept_with_its_reason(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    (job,) = fetch(store).jobs
    settle(store, job, Outcome.FAILED, dead_letter="dead-letter", record=b'{"error":{"type":"X"}}')
    (dead,) = store.list_jobs(QUEUE, JobState.FAILED)
    assert (dead.id, dead.dead_letter, dead.record) == ("one", "dead-letter", b'{"error":{"type":"X"}}')
    mine, dlq = store.stats([QUEUE, "dead-letter"])
    assert (mine.failed, dlq.dead_letters) == (1, 1)


def test_a_settlement_is_stored_once_however_often_it_is_sent(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    (job,) = fetch(store).jobs
    answers = [settle(store, job, Outcome.RETRY) for _ in range(2)]
    assert answers == [Settled.STORED, Settled.REPEATED]
    assert store.stats([QUEUE])[0].retries == 1


def test_only_the_owner_of_the_lease_may_settle(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    (job,) = fetch(store, "worker-1").jobs
    assert settle(store, job, Outcome.COMPLETED, owner="worker-2") is Settled.REFUSED
    assert store.get("one").state is JobState.ACTIVE  # type: ignore[union-attr]


def test_a_dead_workers_job_is_back_at_the_head_and_its_late_settlement_is_refused(store: JobStore) -> None:
    store.enqueue([a_job("one"), a_job("two")])
    (job,) = fetch(store, "dead", credits=1, lease_ms=1).jobs
    eventually(lambda: store.reclaim(max_lost=3) == 1)

    assert ids(fetch(store, "alive")) == ["one", "two"]
    assert settle(store, job, Outcome.COMPLETED, owner="dead") is Settled.REFUSED
    found = store.get("one")
    assert found is not None
    assert (found.lost_leases, found.attempts, found.owner) == (1, 2, "alive")


def test_a_renewed_lease_is_not_reclaimed(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    fetch(store, "worker-1", lease_ms=50)
    assert store.renew("worker-1", 60_000)
    assert store.reclaim(max_lost=3) == 0
    assert store.renew("nobody", 60_000) is False


def test_a_job_that_kills_its_workers_is_dead_lettered(store: JobStore) -> None:
    store.enqueue([a_job("poison", max_attempts=10)])
    for life in range(3):
        eventually(lambda life=life: fetch(store, f"worker-{life}", lease_ms=1).jobs)
        eventually(lambda: store.reclaim(max_lost=3) == 1)
    found = store.get("poison")
    assert found is not None
    assert (found.state, found.lost_leases, found.dead_letter) == (JobState.FAILED, 3, "dead-letter")
    assert b"LeaseLost" in (found.record or b"")


def test_a_lease_lost_on_the_last_attempt_ends_the_job(store: JobStore) -> None:
    store.enqueue([a_job("one", max_attempts=1)])
    fetch(store, lease_ms=1)
    eventually(lambda: store.reclaim(max_lost=3) == 1)
    assert store.get("one").state is JobState.FAILED  # type: ignore[union-attr]


def test_an_unstarted_job_handed_back_keeps_its_place_and_its_attempt(store: JobStore) -> None:
    store.enqueue([a_job("one"), a_job("two")])
    (job,) = fetch(store, credits=1).jobs
    settle(store, job, Outcome.RETURNED)
    (first, _) = fetch(store).jobs
    assert (first.id, first.attempt) == ("one", 1)


def test_a_run_cut_short_by_a_stop_is_counted_apart_and_not_before_two_seconds(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    (job,) = fetch(store).jobs
    settle(store, job, Outcome.INTERRUPTED)
    found = store.get("one")
    assert found is not None
    assert (found.state, found.attempts, found.interruptions) == (JobState.DELAYED, 0, 1)
    assert fetch(store).jobs == []


def test_a_worker_that_leaves_gives_back_what_it_holds(store: JobStore) -> None:
    store.register(a_worker("worker-1"), 15_000)
    store.enqueue([a_job("one")])
    fetch(store, "worker-1")
    assert store.owned("worker-1") == {"one": 1}

    store.leave("worker-1")

    assert store.owned("worker-1") == {}
    assert store.workers() == []
    assert fetch(store, "worker-2").jobs[0].attempt == 1


def test_the_registry_names_the_workers_alive(store: JobStore) -> None:
    store.register(a_worker("worker-1"), 15_000)
    store.register(a_worker("gone"), 0)
    (worker,) = store.workers()
    assert (worker.owner, worker.queues, worker.threads) == ("worker-1", (QUEUE,), 8)


def test_progress_is_kept_while_the_job_runs(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    store.report_progress({"one": b"too early", "unknown": b"x"})
    assert store.get("one").progress is None  # type: ignore[union-attr]
    fetch(store)
    store.report_progress({"one": b'{"percent":40}'})
    assert store.get("one").progress == b'{"percent":40}'  # type: ignore[union-attr]


def test_a_waiting_worker_is_woken_by_a_new_job(store: JobStore) -> None:
    assert store.wait_for_work(["idle"], 10) is None
    store.enqueue([a_job("one")])
    assert store.wait_for_work([QUEUE, "other"], 1_000) == QUEUE


def test_statistics_equal_a_full_count(store: JobStore) -> None:
    store.enqueue([a_job(str(n)) for n in range(6)] + [a_job("d", delay_ms=60_000)])
    done, failed, retried, _ = fetch(store, credits=4).jobs
    settle(store, done, Outcome.COMPLETED)
    settle(store, failed, Outcome.FAILED, dead_letter="dead-letter")
    settle(store, retried, Outcome.RETRY, delay_ms=60_000)
    (stats,) = store.stats([QUEUE])
    assert (stats.waiting, stats.active, stats.delayed) == (2, 1, 2)
    assert (stats.completed, stats.failed, stats.retries) == (1, 1, 1)
    assert (stats.completed_total, stats.failed_total) == (1, 1)
    assert stats.oldest_waiting_ms is not None
    for state in JobState:
        assert len(store.list_jobs(QUEUE, state)) == getattr(stats, state)


def test_names_that_begin_alike_do_not_mix(store: JobStore) -> None:
    store.enqueue([a_job("one", queue="email"), a_job("two", queue="email-sync"), a_job("3", queue="emails")])
    assert [stats.waiting for stats in store.stats(["email", "email-sync", "emails"])] == [1, 1, 1]
    assert ids(fetch(store, queues=["email"])) == ["one"]


def test_lists_come_in_pages(store: JobStore) -> None:
    store.enqueue([a_job(str(n)) for n in range(5)])
    assert [job.id for job in store.list_jobs(QUEUE, JobState.WAITING, limit=2, offset=2)] == ["2", "3"]


def test_only_the_newest_completed_jobs_are_kept(store: JobStore) -> None:
    store.enqueue([a_job(str(n)) for n in range(5)])
    for job in fetch(store).jobs:
        settle(store, job, Outcome.COMPLETED, keep=2)
    assert store.stats([QUEUE])[0].completed == 2
    assert store.stats([QUEUE])[0].completed_total == 5
    assert store.get("0") is None


def test_settled_jobs_leave_by_age(store: JobStore) -> None:
    store.enqueue([a_job("done"), a_job("dead")])
    done, dead = fetch(store).jobs
    settle(store, done, Outcome.COMPLETED)
    settle(store, dead, Outcome.FAILED, dead_letter="dead-letter")
    assert store.trim({QUEUE: Retention(completed_ms=0, failed_ms=60_000)}) == 1
    assert store.get("done") is None
    assert store.trim({QUEUE: Retention(completed_ms=0, failed_ms=0)}) == 1
    assert store.stats(["dead-letter"])[0].dead_letters == 0


def test_a_completed_job_may_leave_at_once_and_takes_no_other_with_it(store: JobStore) -> None:
    store.enqueue([a_job("kept"), a_job("gone"), a_job("kept-too")])
    for job in fetch(store).jobs:
        settle(store, job, Outcome.COMPLETED, keep=1_000, remove=job.id == "gone")
    assert store.get("gone") is None
    assert store.stats([QUEUE])[0].completed == 2


def test_success_wipes_the_failure_of_an_earlier_attempt(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    (job,) = fetch(store).jobs
    settle(store, job, Outcome.RETRY, record=b'{"error":{"type":"E"}}')
    (job,) = fetch(store).jobs
    settle(store, job, Outcome.COMPLETED)
    found = store.get("one")
    assert found is not None
    assert (found.state, found.record) == (JobState.COMPLETED, None)


def test_a_job_whose_lease_was_lost_for_good_goes_to_its_own_dead_letter_queue(store: JobStore) -> None:
    store.enqueue([a_job("one", max_attempts=1, dead_letter="mail-dead")])
    fetch(store, lease_ms=1)
    eventually(lambda: store.reclaim(max_lost=3) == 1)
    found = store.get("one")
    assert found is not None
    assert (found.state, found.dead_letter) == (JobState.FAILED, "mail-dead")
    assert store.stats(["mail-dead"])[0].dead_letters == 1


def test_what_a_leaving_worker_gives_back_wakes_another(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    fetch(store, "worker-1")
    store.wait_for_work([QUEUE], 1)  # the wake-up of the enqueue
    store.leave("worker-1")
    assert store.wait_for_work([QUEUE], 1_000) == QUEUE


def test_flush_removes_what_waits_and_leaves_what_runs(store: JobStore) -> None:
    store.enqueue([a_job("running"), a_job("waiting"), a_job("delayed", delay_ms=60_000)])
    fetch(store, credits=1)
    assert store.flush(QUEUE) == 2
    assert store.get("waiting") is None
    assert store.get("running") is not None


def test_every_attempt_leaves_one_event(store: JobStore) -> None:
    store.enqueue([a_job("one", lane="acme")])
    (job,) = fetch(store).jobs
    settle(store, job, Outcome.RETRY, detail=b'{"error_type":"E"}')
    (job,) = fetch(store).jobs
    settle(store, job, Outcome.COMPLETED)
    first, second = store.read_events("audit", "reader-1").events
    assert (first.outcome, first.attempt, first.detail) == (Outcome.RETRY, 1, b'{"error_type":"E"}')
    assert (second.outcome, second.attempt, second.state) == (Outcome.COMPLETED, 2, JobState.COMPLETED)
    assert (second.lane, second.owner, second.queue) == ("acme", "worker-1", QUEUE)
    assert second.created_at <= second.ready_at <= second.started_at <= second.finished_at


def test_a_lost_lease_is_an_event_and_a_handed_back_job_is_none(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    (job,) = fetch(store).jobs
    settle(store, job, Outcome.RETURNED)
    fetch(store, "dead", lease_ms=1)
    eventually(lambda: store.reclaim(max_lost=3) == 1)
    (event,) = store.read_events("audit", "reader-1").events
    assert (event.outcome, event.owner, event.attempt) == (Outcome.LOST, "dead", 1)


def test_readers_share_events_and_each_reader_gets_all(store: JobStore) -> None:
    store.enqueue([a_job("one"), a_job("two")])
    store.read_events("audit", "a")
    store.read_events("alerts", "x")
    for job in fetch(store).jobs:
        settle(store, job, Outcome.COMPLETED)
    seen = store.read_events("audit", "a", limit=2).events
    assert {event.job_id for event in seen} == {"one", "two"}
    store.ack_events("audit", [event.id for event in seen])
    assert len(store.read_events("alerts", "x").events) == 2
    batch = store.read_events("audit", "a")
    assert (batch.events, batch.lag) == ([], 0)


def test_settle_and_fetch_do_both(store: JobStore) -> None:
    from jobs.model import FetchRequest, Verdict

    store.enqueue([a_job("one"), a_job("two")])
    (job,) = fetch(store, credits=1).jobs
    settled, fetched = store.settle_and_fetch(
        [Verdict(job.id, job.token, Outcome.COMPLETED)],
        FetchRequest("worker-1", "next", 1, {QUEUE: (1, None)}),
    )
    assert settled == [Settled.STORED]
    assert ids(fetched) == ["two"]


def a_worker(owner: str) -> WorkerInfo:
    return WorkerInfo(owner, "host", 1, "0.1.0", 8, (QUEUE,), started_at=0)


def test_an_empty_call_is_nothing(store: JobStore) -> None:
    assert store.enqueue(list[NewJob]()) == []
    assert store.settle("worker-1", []) == []
    store.ping()
