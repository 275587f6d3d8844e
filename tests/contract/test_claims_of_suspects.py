"""Under a cap of one a suspect claims the next free place: however many ordinary jobs want it, and however
busy all processes are, it is overtaken for a bounded time only; and a place that nobody can use for it is not
kept for ever."""

import pytest

from jobs.model import FetchedJob, Scope
from jobs.rules import QueueRules
from jobs.store import JobStore
from tests.contract.clock import Clock
from tests.contract.steps import (
    LONG_MS,
    QUEUE,
    a_job,
    a_worker,
    fetch,
    ids,
    lose,
    rules,
    settle,
    some_jobs,
    take,
)

KEPT_MS = 30_000
CAPS = pytest.mark.parametrize(
    ("cap", "gate"),
    [
        ({}, "one:import"),
        ({"global_concurrency": 1}, ""),
        ({"global_concurrency": 1, "share": "mail"}, ""),
        ({"lane_concurrency": 1}, ""),
        ({"gate_concurrency": 1}, "imap"),
    ],
)


def a_suspect_and_a_backlog(store: JobStore, clock: Clock, cap: dict[str, object], gate: str) -> None:
    """All of the one lane and gate; four processes live."""
    rules(store, **cap)  # type: ignore[arg-type]
    store.enqueue([a_job("suspect", lane="acme", gate=gate)])
    take(store, "dead", lease_ms=10_000)
    lose(store, clock, "dead")
    for owner in ("worker-1", "worker-2", "worker-3"):
        store.register(a_worker(owner), LONG_MS)
    store.enqueue(some_jobs("j", 9, lane="acme", gate=gate))


def busy(store: JobStore, owner: str = "worker-2") -> list[str]:
    """What a process is given that has other work."""
    return ids(fetch(store, owner, credits=1, busy=True))


def all_are_busy(store: JobStore, clock: Clock, ms: int) -> list[str]:
    """For so long each process asks every second, ends at once what it is given, and is never empty."""
    given = list[str]()
    for _ in range(ms // 1_000):
        clock.advance(1_000)
        for owner in ("worker-1", "worker-2", "worker-3"):
            for job in fetch(store, owner, credits=1, busy=True).jobs:
                given.append(job.id)
                settle(store, job, owner=owner)
    return given


@CAPS
def test_a_free_place_is_kept_for_the_process_that_becomes_empty(
    store: JobStore, clock: Clock, cap: dict[str, object], gate: str
) -> None:
    a_suspect_and_a_backlog(store, clock, cap, gate)
    assert fetch(store, "worker-1", busy=True).suspect
    clock.advance(9_000)
    assert busy(store, "worker-2") == busy(store, "worker-3") == []
    standing = store.standing("j000")
    assert standing is not None
    assert (standing.rest_scope, standing.rests_until) == ("place", clock.now + 1_000)
    assert ids(fetch(store, "worker-1")) == ["suspect"]


@CAPS
def test_a_place_that_was_taken_before_is_kept_when_it_is_free(
    store: JobStore, clock: Clock, cap: dict[str, object], gate: str
) -> None:
    a_suspect_and_a_backlog(store, clock, cap, gate)
    running = overtakes(store, clock)
    assert not fetch(store, "worker-1", busy=True).suspect
    clock.advance(10 * KEPT_MS)
    assert busy(store, "worker-3") == [], "it is met while the place is taken"
    settle(store, running, owner="worker-2")
    assert fetch(store, "worker-1", busy=True).suspect
    assert busy(store, "worker-3") == []
    assert ids(fetch(store, "worker-1")) == ["suspect"]


def overtakes(store: JobStore, clock: Clock) -> FetchedJob:
    """An ordinary job, after the place was kept in vain."""
    for _ in range(6):
        fetch(store, "worker-1", busy=True)
        clock.advance(5_000)
    (job,) = fetch(store, "worker-2", credits=1, busy=True).jobs
    return job


@CAPS
def test_what_nobody_is_empty_for_is_not_kept_for_ever(
    store: JobStore, clock: Clock, cap: dict[str, object], gate: str
) -> None:
    a_suspect_and_a_backlog(store, clock, cap, gate)
    fetch(store, "worker-1", busy=True)
    assert all_are_busy(store, clock, KEPT_MS - 1_000) == []
    assert all_are_busy(store, clock, 2_000) != [], "then others have it"


def test_others_have_the_place_as_long_as_it_was_kept_and_then_it_is_kept_for_twice_that(
    store: JobStore, clock: Clock
) -> None:
    rules(store, global_concurrency=1)
    a_suspect_and_a_backlog(store, clock, {"global_concurrency": 1}, "")
    store.enqueue(some_jobs("k", 400))
    fetch(store, "worker-1", busy=True)
    for kept_ms in (KEPT_MS, 2 * KEPT_MS, 4 * KEPT_MS):
        assert all_are_busy(store, clock, kept_ms - 1_000) == []
        assert len(all_are_busy(store, clock, kept_ms)) >= kept_ms // 1_000 - 3
        clock.advance(1_000)
        fetch(store, "worker-1", busy=True)
    assert ids(fetch(store, "worker-2")) == ["suspect"]


def test_once_a_suspect_has_run_the_next_claims_anew(store: JobStore, clock: Clock) -> None:
    a_suspect_and_a_backlog(store, clock, {"global_concurrency": 1}, "")
    fetch(store, "worker-1", busy=True)
    all_are_busy(store, clock, 2 * KEPT_MS)
    suspect = take(store, "worker-1")
    assert suspect.id == "suspect"
    settle(store, suspect)
    store.enqueue(some_jobs("k", 99))
    clock.advance(1_000)
    lost = take(store, "lost", lease_ms=10_000)
    lose(store, clock, "lost")
    fetch(store, "worker-1", busy=True)
    assert all_are_busy(store, clock, KEPT_MS - 1_000) == []
    assert all_are_busy(store, clock, 3_000) != []
    assert ids(fetch(store, "worker-1")) == [lost.id]


def test_another_queue_of_the_share_waits_too(store: JobStore, clock: Clock) -> None:
    shared = QueueRules(global_concurrency=1, share="mail")
    store.configure({QUEUE: shared, "reports": shared}, {})
    a_suspect_and_a_backlog(store, clock, {}, "")
    store.configure({QUEUE: shared, "reports": shared}, {})
    store.enqueue([a_job("other", queue="reports")])
    assert fetch(store, "worker-1", busy=True).suspect
    assert ids(fetch(store, "worker-3", queues=("reports",))) == []
    assert ids(fetch(store, "worker-1")) == ["suspect"]


def test_jobs_under_no_such_cap_go_on_meanwhile(store: JobStore, clock: Clock) -> None:
    a_suspect_and_a_backlog(store, clock, {}, "one:import")
    store.enqueue([a_job("zeta", lane="zeta"), a_job("acme", lane="acme"), a_job("r", queue="reports")])
    assert fetch(store, "worker-1", busy=True).suspect
    found = fetch(store, "worker-2", busy=True, queues=(QUEUE, "reports"))
    assert sorted(ids(found)) == ["acme", "r", "zeta"]


def test_no_place_is_kept_for_a_suspect_that_was_cancelled(store: JobStore, clock: Clock) -> None:
    a_suspect_and_a_backlog(store, clock, {"global_concurrency": 1}, "")
    fetch(store, "worker-1", busy=True)
    assert busy(store) == []
    store.cancel(["suspect"])
    clock.advance(1_000)
    assert busy(store) == ["j000"]


def test_a_suspect_whose_tenant_is_paused_claims_nothing(store: JobStore, clock: Clock) -> None:
    a_suspect_and_a_backlog(store, clock, {"global_concurrency": 1}, "")
    store.enqueue(some_jobs("z", 3, lane="zeta"))
    store.adjust(Scope(QUEUE, "acme"), {"paused": True})
    assert busy(store) == ["z000"]


def test_one_that_is_paused_later_claims_no_more(store: JobStore, clock: Clock) -> None:
    a_suspect_and_a_backlog(store, clock, {"global_concurrency": 1}, "")
    store.enqueue(some_jobs("z", 400, lane="zeta"))
    fetch(store, "worker-1", busy=True)
    store.adjust(Scope(QUEUE, "acme"), {"paused": True})
    all_are_busy(store, clock, KEPT_MS)
    assert len(all_are_busy(store, clock, 300_000)) >= 300


def test_a_claim_that_no_process_meets_any_more_ends_after_a_minute(store: JobStore, clock: Clock) -> None:
    a_suspect_and_a_backlog(store, clock, {"global_concurrency": 1}, "")
    running = overtakes(store, clock)
    clock.advance(10 * KEPT_MS)
    assert busy(store, "worker-3") == [], "it is met while the place is taken"
    store.adjust(Scope(QUEUE, "acme"), {"paused": True})
    settle(store, running, owner="worker-2")
    store.enqueue(some_jobs("z", 400, lane="zeta"))
    assert all_are_busy(store, clock, 59_000) == []
    assert len(all_are_busy(store, clock, 300_000)) >= 298


def test_when_it_has_run_the_others_go_on_within_a_second(store: JobStore, clock: Clock) -> None:
    a_suspect_and_a_backlog(store, clock, {"lane_concurrency": 1}, "")
    fetch(store, "worker-1", busy=True)
    assert busy(store) == []
    suspect = take(store, "worker-1")
    settle(store, suspect)
    clock.advance(1_000)
    assert busy(store) == ["j000"]
