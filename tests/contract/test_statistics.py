"""Counts of queues and lanes, exact at rest, and lists in pages."""

from jobs.model import Outcome, Scope
from jobs.states import JobState
from jobs.store import JobStore
from tests.contract.clock import Clock
from tests.contract.steps import QUEUE, a_job, count, fetch, lane_of, rules, settle, some_jobs, take


def test_statistics_equal_a_full_count(store: JobStore) -> None:
    store.enqueue([*some_jobs("j", 7), a_job("d", delay_ms=60_000)])
    done, failed, retried, cancelled, _ = fetch(store, credits=5).jobs
    settle(store, done)
    settle(store, failed, Outcome.FAILED)
    settle(store, retried, Outcome.RETRY, delay_ms=60_000)
    settle(store, cancelled, Outcome.CANCELLED)
    stats = count(store)
    assert (stats.waiting, stats.active, stats.delayed, stats.blocked) == (2, 1, 2, 0)
    assert (stats.completed, stats.failed, stats.cancelled, stats.retries) == (1, 1, 1, 1)
    assert (stats.completed_total, stats.failed_total) == (1, 1)
    for state in JobState:
        assert len(store.list_jobs(QUEUE, state)) == getattr(stats, state)


def test_a_lanes_statistics_count_all_its_gates(store: JobStore) -> None:
    store.enqueue(some_jobs("a", 3, lane="acme") + some_jobs("g", 3, lane="acme", gate="imap"))
    store.enqueue([*some_jobs("b", 2, lane="beta"), a_job("d", lane="acme", delay_ms=60_000)])
    ended = [job for job in fetch(store, credits=6).jobs if job.lane == "acme"][:3]
    for job, outcome in zip(ended, (Outcome.COMPLETED, Outcome.FAILED, Outcome.CANCELLED), strict=True):
        settle(store, job, outcome)
    acme = lane_of(store, "acme")
    assert acme.waiting + acme.active == 3
    assert (acme.delayed, acme.completed, acme.failed, acme.cancelled) == (1, 1, 1, 1)
    assert lane_of(store, "nobody").waiting == 0


def test_lanes_with_work_can_be_listed(store: JobStore) -> None:
    store.enqueue([a_job("a", lane="acme"), a_job("b", lane="beta", priority=1), a_job("n", lane="")])
    assert sorted(lane.lane for lane in store.lanes(QUEUE)) == ["", "acme", "beta"]
    assert len(store.lanes(QUEUE, limit=2)) == 2
    assert store.lanes(QUEUE, []) == []


def test_no_more_lanes_are_listed_than_asked_for(store: JobStore) -> None:
    store.enqueue([a_job(lane=f"t{n % 150:03}", priority=1 + n % 2) for n in range(301)])
    assert [len(store.lanes(QUEUE, limit=limit)) for limit in (0, 1, 120, 1_000)] == [0, 1, 120, 150]
    assert sum(lane.waiting for lane in store.lanes(QUEUE, limit=1_000)) == 301


def test_a_scan_of_what_runs_comes_in_pages_too(store: JobStore) -> None:
    store.enqueue([a_job(f"j{n}", queue=QUEUE if n % 2 else "other") for n in range(9)])
    for owner in ("worker-1", "worker-2"):
        fetch(store, owner, credits=4, queues=(QUEUE, "other"))
    seen: list[str] = []
    mark: str | None = ""
    while mark is not None:
        page, mark = store.scan(QUEUE, JobState.ACTIVE, 2, mark)
        assert len(page) <= 2
        seen += [job.id for job in page]
    assert sorted(seen) == sorted(job.id for job in store.list_jobs(QUEUE, JobState.ACTIVE))


def test_what_rests_is_counted_when_it_was_met(store: JobStore) -> None:
    rules(store, lane_concurrency=1)
    store.enqueue(some_jobs("a", 3, lane="acme") + some_jobs("b", 3, lane="beta"))
    assert count(store).resting == 0
    fetch(store)
    assert (count(store).waiting, count(store).resting) == (4, 4)
    store.enqueue([a_job("more", lane="acme")])
    assert (lane_of(store, "acme").resting, count(store).resting) == (3, 5)


def test_the_age_of_the_oldest_waiting_job(store: JobStore, clock: Clock) -> None:
    assert count(store).oldest_waiting_ms is None
    store.enqueue([a_job("low", priority=9)])
    clock.advance(2_000)
    store.enqueue([a_job("high", priority=1)])
    clock.advance(1_000)
    assert count(store).oldest_waiting_ms == 3_000
    fetch(store)
    assert count(store).oldest_waiting_ms is None


def test_rates_are_of_the_minute_before_this_one_and_what_has_passed_of_this_one(
    store: JobStore, clock: Clock
) -> None:
    clock.advance(60_000 - clock.now % 60_000)
    store.enqueue(some_jobs("j", 40))
    done, failed = fetch(store, credits=30).jobs, fetch(store, credits=10).jobs
    for job in done:
        settle(store, job)
    for job in failed:
        settle(store, job, Outcome.FAILED)
    assert (count(store).completed_per_minute, count(store).failed_per_minute) == (30.0, 10.0)
    clock.advance(16_800)
    assert count(store).failed_per_minute == 7.813, "7.8125: half a thousandth is a whole one"
    clock.advance(73_200)
    assert (count(store).completed_per_minute, count(store).failed_per_minute) == (20.0, 6.667)
    clock.advance(30_000)
    assert count(store).completed_per_minute == 0.0
    assert count(store).completed_total == 30


def test_a_paused_queue_says_so(store: JobStore) -> None:
    store.adjust(Scope(QUEUE), {"paused": True})
    assert count(store).paused
    assert not count(store, "other").paused


def test_lists_come_in_pages(store: JobStore) -> None:
    store.enqueue([a_job(str(n)) for n in range(5)])
    assert [job.id for job in store.list_jobs(QUEUE, JobState.WAITING, limit=2, offset=2)] == ["2", "3"]
    assert store.list_jobs(QUEUE, JobState.WAITING, limit=2, offset=5) == []


def test_waiting_jobs_are_listed_by_band_lane_and_place_and_settled_ones_newest_first(
    store: JobStore, clock: Clock
) -> None:
    store.enqueue([a_job("b1", lane="b"), a_job("a1", lane="a"), a_job("b2", lane="b")])
    store.enqueue([a_job("first", lane="z", priority=1)])
    assert [job.id for job in store.list_jobs(QUEUE, JobState.WAITING)] == ["first", "a1", "b1", "b2"]
    for _ in range(4):
        job = take(store)
        clock.advance(1)
        settle(store, job)
    assert [job.id for job in store.list_jobs(QUEUE, JobState.COMPLETED)][-1] == "first"


def test_a_scan_meets_every_job_once_oldest_first(store: JobStore, clock: Clock) -> None:
    store.enqueue(some_jobs("j", 7))
    for job in fetch(store).jobs:
        clock.advance(1)
        settle(store, job)
    seen = list[str]()
    mark: str | None = ""
    while mark is not None:
        page, mark = store.scan(QUEUE, JobState.COMPLETED, 3, mark)
        seen += [job.id for job in page]
        store.remove([job.id for job in page[:2]])
    assert seen == [f"j{n:03}" for n in range(7)]


def test_a_scan_can_follow_the_dead_letters_of_all_queues(store: JobStore) -> None:
    store.enqueue([a_job("one"), a_job("two", queue="reports"), a_job("three", dead_letter="other")])
    for job in fetch(store, queues=[QUEUE, "reports"]).jobs:
        settle(store, job, Outcome.FAILED)
    routed, following = store.scan("dead-letter", JobState.FAILED, routed=True)
    assert (sorted(job.id for job in routed), following) == (["one", "two"], None)
