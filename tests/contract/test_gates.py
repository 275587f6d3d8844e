"""Gates and fairness: however many gates a tenant has, they share its part and take turns."""

import pytest

from jobs.model import Outcome, Scope, UniqueMode
from jobs.store import JobStore
from tests.contract.clock import Clock
from tests.contract.steps import (
    QUEUE,
    a_job,
    count,
    fetch,
    ids,
    lane_of,
    of,
    rules,
    run_order,
    settle,
    some_jobs,
    take,
    unique,
)


def test_a_tenant_with_two_thousand_gates_delays_anothers_single_job_by_about_one(store: JobStore) -> None:
    store.enqueue([a_job(f"a{n:04}", lane="acme", gate=f"g{n}") for n in range(2_000)])
    run_order(store, 20)
    store.enqueue([a_job("zeta", lane="zeta")])
    assert "zeta" in run_order(store, 2)


def test_a_stream_of_new_gates_does_not_pass_over_what_others_have_waiting(store: JobStore) -> None:
    """As `unique` with `latest` makes them: each key is a gate of its own."""
    store.enqueue(some_jobs("y", 60, lane="yard"))
    order = ""
    for n in range(80):
        key = unique(UniqueMode.LATEST, key=f"row-{n}")
        store.enqueue([a_job(f"x{n}", lane="x-ray", gate=f"one:unique:a:{n}", unique=key)])
        job = take(store)
        order += job.id[0]
        settle(store, job)
    assert 39 <= order.count("y") <= 41


def test_a_weight_counts_for_all_gates_together(store: JobStore) -> None:
    store.configure({}, {"acme": 3.0})
    store.enqueue([a_job(f"a{n:03}", lane="acme", gate=f"g{n % 7}") for n in range(60)])
    store.enqueue(some_jobs("b", 60, lane="beta"))
    order = of(run_order(store, 40))
    assert order.count("a") in (29, 30, 31)


def test_the_gates_of_a_tenant_take_turns_and_so_does_what_goes_through_none(store: JobStore) -> None:
    for gate in ("x", "y"):
        store.enqueue(some_jobs(gate, 3, lane="acme", gate=gate))
    store.enqueue(some_jobs("n", 3, lane="acme"))
    assert of(run_order(store)) == "nxynxynxy"


def test_a_batch_takes_gates_in_turns_too(store: JobStore) -> None:
    for gate in ("x", "y"):
        store.enqueue(some_jobs(gate, 3, lane="acme", gate=gate))
    assert of(ids(fetch(store, credits=4))) == "xyxy"


def test_a_stream_of_new_gates_does_not_pass_over_an_old_one(store: JobStore) -> None:
    """A gate has its turn after those that wait already."""
    store.enqueue(some_jobs("old", 5, lane="acme", gate="imap"))
    order = ""
    for n in range(10):
        store.enqueue([a_job(f"new{n}", lane="acme", gate=f"key-{n}")])
        order += of(run_order(store, 1))
    assert order == "ononnonnno"


def test_a_gate_that_rests_leaves_its_tenant_its_place(store: JobStore) -> None:
    rules(store, gate_concurrency=1)
    store.enqueue(some_jobs("g", 3, lane="acme", gate="imap") + some_jobs("f", 3, lane="acme"))
    store.enqueue(some_jobs("b", 4, lane="beta"))
    held = next(job for job in fetch(store, credits=3).jobs if job.id[0] == "g")
    rest = fetch(store)
    assert of(sorted(ids(rest))) == "bbbff"
    assert lane_of(store, "acme").resting == 2
    settle(store, held)
    assert (lane_of(store, "acme").resting, ids(fetch(store))) == (0, ["g001"])


def test_when_a_place_under_a_lanes_cap_is_free_one_of_many_gates_goes_on(store: JobStore) -> None:
    rules(store, lane_concurrency=1)
    store.enqueue([a_job(f"a{n:03}", lane="acme", gate=f"g{n:03}") for n in range(300)])
    for n in range(3):
        job = take(store)
        assert job.id == f"a{n:03}"
        assert fetch(store).jobs == []
        assert count(store).resting == 299 - n
        settle(store, job)


def test_a_handed_back_job_of_a_gate_costs_its_tenant_nothing(store: JobStore) -> None:
    store.enqueue(some_jobs("a", 3, lane="acme", gate="imap") + some_jobs("b", 3, lane="beta"))
    settle(store, take(store), Outcome.RETURNED)
    assert of(run_order(store)) == "ababab"


@pytest.mark.parametrize("how", ["pause", "rest", "a rest that ends by itself"])
def test_of_twelve_hundred_gates_none_is_forgotten_when_their_lane_goes_on(
    store: JobStore, clock: Clock, how: str
) -> None:
    store.enqueue([a_job(f"a{n:04}", lane="acme", gate=f"g{n}") for n in range(1_200)])
    lane = Scope(QUEUE, "acme")
    if how == "pause":
        store.adjust(lane, {"paused": True})
    else:
        store.rest(lane, 5_000, "mailbox locked")
    assert fetch(store).jobs == []
    assert count(store).resting == 1_200

    if how == "pause":
        store.adjust(lane, {"paused": None})
    elif how == "rest":
        store.wake(lane)
    else:
        clock.advance(6_000)

    assert len(fetch(store, credits=2_000, each=2_000).jobs) == 1_200
    assert count(store).resting == 0


def test_a_gates_own_rest_goes_on_when_its_lanes_is_over(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("gated", lane="acme", gate="imap"), a_job("free", lane="acme")])
    store.rest(Scope(QUEUE, "acme", "imap"), 5_000, "locked")
    store.rest(Scope(QUEUE, "acme"), 1_000, "locked")
    assert fetch(store).jobs == []
    clock.advance(1_000)
    assert ids(fetch(store)) == ["free"]
    clock.advance(4_000)
    assert ids(fetch(store)) == ["gated"]
