"""What a suspect waits for besides a process of its own: what shall never run twice at once, and what may not
start so often."""

import pytest

from jobs.model import Scope
from jobs.rules import Rate
from jobs.states import JobState
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
    run_order,
    settle,
    some_jobs,
    state_of,
    take,
)


def a_suspect_beside_a_job_that_runs(store: JobStore, clock: Clock, **changes: object) -> None:
    store.enqueue([a_job("suspect", **changes)])  # type: ignore[arg-type]
    take(store, "dead", lease_ms=10_000)
    lose(store, clock, "dead")
    # While a process becomes empty for the suspect, another one goes on; the place is not kept for ever.
    for owner in ("worker-1", "worker-2", "worker-3"):
        store.register(a_worker(owner), LONG_MS)
    becomes_empty_in_vain(store, clock, "worker-1")
    store.enqueue([a_job("neighbour", **changes)])  # type: ignore[arg-type]
    assert ids(fetch(store, "worker-2", busy=True)) == ["neighbour"]


def becomes_empty_in_vain(store: JobStore, clock: Clock, owner: str) -> None:
    """For as long as a place under a cap of one is kept at first."""
    for _ in range(6):
        assert fetch(store, owner, busy=True).suspect
        clock.advance(5_000)


@pytest.mark.parametrize(
    ("cap", "gate"),
    [
        ({}, "one:import"),
        ({"global_concurrency": 1}, ""),
        ({"global_concurrency": 1, "share": "mail"}, ""),
        ({"lane_concurrency": 1}, ""),
        ({"gate_concurrency": 1}, "imap"),
    ],
)
def test_what_shall_run_one_at_a_time_does_so_beside_a_suspect_too(
    store: JobStore, clock: Clock, cap: dict[str, object], gate: str
) -> None:
    rules(store, **cap)  # type: ignore[arg-type]
    a_suspect_beside_a_job_that_runs(store, clock, lane="acme", gate=gate)
    assert fetch(store, "worker-1").jobs == []
    assert not fetch(store, "worker-1", busy=True).suspect, "nobody becomes empty for what may not run"
    assert state_of(store, "suspect") is JobState.WAITING


def test_a_full_cap_of_more_than_one_is_exceeded_by_a_suspect(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("suspect")])
    take(store, "dead", lease_ms=10_000)
    lose(store, clock, "dead")
    rules(store, global_concurrency=2)
    for owner in ("worker-1", "worker-2", "worker-3"):
        store.register(a_worker(owner), LONG_MS)
    assert fetch(store, "worker-1", busy=True).suspect
    store.enqueue(some_jobs("j", 3))
    assert len(fetch(store, "worker-2", busy=True).jobs) == 2
    assert fetch(store, "worker-2", busy=True).jobs == []
    assert ids(fetch(store, "worker-1")) == ["suspect"]


def test_when_the_other_has_ended_the_suspect_is_the_next(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("suspect", gate="one:import")])
    take(store, "dead", lease_ms=10_000)
    lose(store, clock, "dead")
    for owner in ("worker-1", "worker-2", "worker-3"):
        store.register(a_worker(owner), LONG_MS)
    becomes_empty_in_vain(store, clock, "worker-1")
    store.enqueue([a_job("neighbour", gate="one:import")])
    neighbour = take(store, "worker-2", busy=True)
    store.enqueue([a_job("third", gate="one:import")])
    assert fetch(store, "worker-1").jobs == []
    settle(store, neighbour, owner="worker-2")
    assert run_order(store) == ["suspect", "third"]


@pytest.mark.parametrize(
    "rate",
    [
        {"rate": Rate(1, 60_000)},
        {"rate": Rate(1, 60_000), "share": "mail"},
        {"lane_rate": Rate(1, 60_000)},
        {"gate_rate": Rate(1, 60_000)},
    ],
)
def test_a_suspect_waits_for_a_spent_rate_and_spends_of_it(
    store: JobStore, clock: Clock, rate: dict[str, object]
) -> None:
    store.enqueue(some_jobs("s", 2, lane="acme", gate="imap"))
    fetch(store, "dead", lease_ms=10_000)
    lose(store, clock, "dead")
    rules(store, **rate)  # type: ignore[arg-type]
    settle(store, take(store))
    assert fetch(store).jobs == []
    assert not fetch(store, "worker-2", busy=True).suspect
    clock.advance(60_000)
    assert ids(fetch(store)) == ["s001"]


def test_however_many_suspects_of_a_paused_lane_wait_one_of_another_lane_runs(
    store: JobStore, clock: Clock
) -> None:
    for n in range(5):
        store.enqueue(some_jobs(f"p{n}-", 260, lane="acme"))
    while fetch(store, "dead", credits=400, lease_ms=10_000).jobs:
        pass
    clock.advance(1)
    store.enqueue([a_job("zeta", lane="zeta")])
    take(store, "dead", lease_ms=10_000)
    clock.advance(8_000)
    store.register(a_worker("watching"), LONG_MS)
    clock.advance(8_000)
    while store.reclaim(3, 1_000):
        pass
    store.adjust(Scope(QUEUE, "acme"), {"paused": True})
    for _ in range(3):
        assert fetch(store, "worker-1", busy=True).suspect, "the turn is kept"
    settle(store, take(store))
    for _ in range(3):
        assert fetch(store).jobs == []
    store.adjust(Scope(QUEUE, "acme"), {"paused": None})
    assert ids(fetch(store)) == ["p0-000"]
