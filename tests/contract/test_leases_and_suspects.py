"""Leases, what becomes of a dead worker's jobs, suspects, and the registry of workers."""

import threading

from jobs.model import Outcome, Scope, Settled
from jobs.states import JobState
from jobs.store import JobStore
from tests.contract.clock import Clock
from tests.contract.steps import (
    LONG_MS,
    QUEUE,
    a_job,
    a_worker,
    count,
    fetch,
    found,
    ids,
    lose,
    settle,
    some_jobs,
    state_of,
    take,
)


def test_a_dead_workers_job_goes_first_and_its_late_settlement_is_refused(
    store: JobStore, clock: Clock
) -> None:
    store.enqueue([a_job("one"), a_job("two")])
    job = take(store, "dead", lease_ms=10_000)
    assert lose(store, clock, "dead") == 1

    assert ids(fetch(store, "alive", credits=5)) == ["one"]
    assert settle(store, job, owner="dead") is Settled.REFUSED
    lost = found(store, "one")
    assert (lost.lost_leases, lost.attempts, lost.owner) == (1, 2, "alive")


def test_a_lease_counts_to_the_millisecond(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one")])
    take(store, "worker-1", lease_ms=9_000)
    clock.advance(8_999)
    assert store.reclaim(3) == 0
    clock.advance(1)
    assert store.reclaim(3) == 1


def test_a_renewed_lease_is_not_reclaimed(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one")])
    take(store, "worker-1", lease_ms=5_000)
    clock.advance(4_000)
    assert store.renew("worker-1", 60_000)
    clock.advance(5_000)
    assert store.reclaim(3) == 0
    assert store.renew("nobody", 60_000) is False


def test_who_was_reclaimed_is_told_so_by_its_next_renewal(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one")])
    take(store, "dead", lease_ms=10_000)
    lose(store, clock, "dead")
    assert store.renew("dead", 60_000) is False
    assert store.owned("dead") == {}


def test_any_fetch_prolongs_the_lease(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("one")])
    take(store, "worker-1", lease_ms=5_000)
    clock.advance(4_000)
    fetch(store, "worker-1", lease_ms=5_000)
    clock.advance(4_000)
    assert store.reclaim(3) == 0


def test_after_the_store_itself_was_away_the_living_have_time_to_renew(store: JobStore, clock: Clock) -> None:
    store.enqueue(some_jobs("j", 2))
    take(store, "alive", lease_ms=15_000)
    take(store, "dead", lease_ms=15_000)
    clock.advance(60_000)
    assert store.reclaim(3) == 0
    store.renew("alive", 15_000)
    clock.advance(6_000)
    assert store.reclaim(3) == 1
    assert store.owned("alive") == {"j000": 1}


def test_a_job_that_kills_its_workers_is_dead_lettered(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("poison", max_attempts=10)])
    for life in range(3):
        take(store, f"worker-{life}", lease_ms=10_000)
        assert lose(store, clock, f"worker-{life}") == 1
    poison = found(store, "poison")
    assert (poison.state, poison.lost_leases) == (JobState.FAILED, 3)
    assert (poison.dead_letter, b"LeaseLost" in (poison.record or b"")) == ("dead-letter", True)


def test_a_lease_lost_on_the_last_attempt_ends_the_job_in_its_own_dead_letter_queue(
    store: JobStore, clock: Clock
) -> None:
    store.enqueue([a_job("one", max_attempts=1, dead_letter="mail-dead")])
    take(store, "dead", lease_ms=10_000)
    lose(store, clock, "dead")
    assert (state_of(store, "one"), found(store, "one").dead_letter) == (JobState.FAILED, "mail-dead")


def test_reclaim_works_in_chunks(store: JobStore, clock: Clock) -> None:
    store.enqueue(some_jobs("j", 5))
    fetch(store, "dead", lease_ms=9_000)
    clock.advance(9_000)
    assert [store.reclaim(3, limit=2) for _ in range(4)] == [2, 2, 1, 0]


# Suspects


def suspect(store: JobStore, clock: Clock) -> None:
    """A job that lost a lease waits."""
    store.enqueue([a_job("suspect")])
    take(store, "dead", lease_ms=10_000)
    lose(store, clock, "dead")


def test_a_suspect_runs_alone(store: JobStore, clock: Clock) -> None:
    suspect(store, clock)
    store.enqueue([a_job("neighbour")])
    assert ids(fetch(store, "worker-1", credits=8, ahead=2)) == ["suspect"]


def test_a_busy_process_is_asked_to_become_empty_for_a_suspect(store: JobStore, clock: Clock) -> None:
    suspect(store, clock)
    store.enqueue([a_job("neighbour")])
    asked = fetch(store, "worker-1", busy=True)
    assert (asked.jobs, asked.suspect) == ([], True)
    given = fetch(store, "worker-1", busy=False)
    assert (ids(given), given.suspect) == (["suspect"], False)


def test_while_one_process_becomes_empty_the_others_go_on(store: JobStore, clock: Clock) -> None:
    suspect(store, clock)
    store.enqueue([a_job("neighbour")])
    fetch(store, "worker-1", busy=True)
    others = fetch(store, "worker-2", busy=True)
    assert (ids(others), others.suspect) == (["neighbour"], False)


def test_a_suspect_waits_and_counts_as_waiting(store: JobStore, clock: Clock) -> None:
    suspect(store, clock)
    assert (state_of(store, "suspect"), count(store).waiting) == (JobState.WAITING, 1)
    standing = store.standing("suspect")
    assert standing is not None
    assert standing.suspect
    assert [job.id for job in store.list_jobs(QUEUE, JobState.WAITING)] == ["suspect"]


def test_a_suspect_stays_one_until_it_ended(store: JobStore, clock: Clock) -> None:
    suspect(store, clock)
    settle(store, take(store), Outcome.RETURNED)
    settle(store, take(store), Outcome.RETRY, delay_ms=1_000)
    clock.advance(1_000)
    assert fetch(store, busy=True).suspect
    settle(store, take(store))
    assert state_of(store, "suspect") is JobState.COMPLETED


# Hand-back and registry


def test_a_worker_that_leaves_gives_back_what_it_holds(store: JobStore) -> None:
    store.register(a_worker("worker-1"), LONG_MS)
    store.enqueue([a_job("one"), a_job("two")])
    take(store, "worker-1")
    assert store.owned("worker-1") == {"one": 1}

    store.leave("worker-1")

    assert store.owned("worker-1") == {}
    assert store.workers() == []
    assert [(job.id, job.attempt) for job in fetch(store, "worker-2").jobs] == [("one", 1), ("two", 1)]


def test_a_worker_is_told_to_configure_a_store_that_knows_no_rules(store: JobStore) -> None:
    assert store.register(a_worker("worker-1"), LONG_MS) is False
    store.adjust(Scope(QUEUE), {"cap": 3})
    assert store.register(a_worker("worker-1"), LONG_MS) is False
    store.configure({}, {})
    assert store.register(a_worker("worker-1"), LONG_MS) is True


def test_the_registry_names_the_workers_alive(store: JobStore, clock: Clock) -> None:
    store.register(a_worker("worker-1", actors=("email_sync",), running=3, memory_bytes=10**8), 15_000)
    store.register(a_worker("gone"), 0)
    clock.advance(5_000)
    (worker,) = store.workers()
    assert (worker.owner, worker.host, worker.pid, worker.version) == ("worker-1", "host", 1, "0.1.0")
    assert (worker.queues, worker.actors, worker.threads) == ((QUEUE,), ("email_sync",), 8)
    assert (worker.running, worker.memory_bytes) == (3, 10**8)
    assert (worker.seen_at, worker.lease_until) == (clock.now - 5_000, clock.now + 10_000)
    clock.advance(10_000)
    assert store.workers() == []


# Wake-up and signals


def test_a_waiting_worker_is_woken_by_a_new_job(store: JobStore) -> None:
    assert store.wait_for_work(["idle"], 10) is None
    store.enqueue([a_job("one")])
    assert store.wait_for_work([QUEUE, "other"], 1_000) == QUEUE


def test_a_job_that_may_not_run_wakes_nobody(store: JobStore) -> None:
    store.adjust(Scope(QUEUE), {"paused": True})
    store.wait_for_work([QUEUE], 1)  # the change itself
    store.enqueue([a_job("one")])
    assert store.wait_for_work([QUEUE], 10) is None


def test_what_a_leaving_worker_gives_back_wakes_another(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    take(store, "worker-1")
    store.wait_for_work([QUEUE], 1)  # the wake-up of the enqueue
    store.leave("worker-1")
    assert store.wait_for_work([QUEUE], 1_000) == QUEUE


def test_a_lost_job_and_a_retried_dead_letter_wake_a_worker(store: JobStore, clock: Clock) -> None:
    suspect(store, clock)
    assert store.wait_for_work([QUEUE], 1_000) == QUEUE
    settle(store, take(store), Outcome.FAILED)
    store.wait_for_work([QUEUE], 1)
    store.retry_dead(["suspect"])
    assert store.wait_for_work([QUEUE], 1_000) == QUEUE


def test_an_offer_wakes_one_worker_and_is_not_heaped_up(store: JobStore) -> None:
    assert store.offer([QUEUE, "other"]) == 2
    assert store.offer([QUEUE]) == 0
    assert store.wait_for_work([QUEUE], 1_000) == QUEUE
    assert store.wait_for_work([QUEUE], 10) is None
    assert store.offer([QUEUE]) == 1
    assert store.offer([]) == 0


def test_who_listens_hears_of_jobs_to_cancel(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    take(store)
    heard: list[str] = []
    joined = threading.Event()
    stop = threading.Event()

    def listening() -> None:
        while not stop.is_set():
            store.listen(heard.append, joined.set, 100)
            if heard:
                stop.set()

    thread = threading.Thread(target=listening)
    thread.start()
    try:
        assert joined.wait(20.0)
        store.cancel(["one"])
        assert stop.wait(20.0)
        assert heard == ["one"]
    finally:
        stop.set()
        thread.join(20.0)
