"""Caps and rates: over all workers, of a queue, of queues that share one, of a tenant's lane, of a gate."""

import pytest

from jobs.errors import InvalidAdjustment
from jobs.model import Outcome, Scope
from jobs.rules import QueueRules, Rate
from jobs.store import JobStore
from tests.contract.clock import Clock
from tests.contract.steps import (
    QUEUE,
    a_job,
    count,
    fetch,
    ids,
    lane_of,
    lose,
    of,
    rules,
    settle,
    some_jobs,
    take,
)

# Per process


def test_no_more_is_fetched_than_the_process_can_start(store: JobStore) -> None:
    store.enqueue([*some_jobs("j", 9), a_job("other", queue="reports")])
    fetched = fetch(store, credits=5, queues=[QUEUE, "reports"], each=3)
    assert sorted(ids(fetched)) == ["j000", "j001", "j002", "other"]
    assert fetched.more == (QUEUE,)


def test_jobs_ahead_are_given_only_while_no_other_process_is_idle(store: JobStore, clock: Clock) -> None:
    store.enqueue(some_jobs("j", 9))
    assert len(fetch(store, "busy", credits=1, ahead=2).jobs) == 3
    fetch(store, "idle", queues=["other"])
    assert len(fetch(store, "busy", credits=1, ahead=2).jobs) == 1
    clock.advance(6_000)
    assert len(fetch(store, "busy", credits=1, ahead=2).jobs) == 3


@pytest.mark.parametrize(
    ("scope", "changes"),
    [
        (Scope(QUEUE), {"cap": 5}),
        (Scope(QUEUE), {"rate": Rate(5, 60_000)}),
        (Scope(QUEUE), {"lane_cap": 5}),
        (Scope(QUEUE), {"lane_rate": Rate(5, 60_000)}),
        (Scope(QUEUE), {"gate_cap": 5}),
        (Scope(QUEUE), {"gate_rate": Rate(5, 60_000)}),
        (Scope(QUEUE, "acme"), {"cap": 5}),
        (Scope(QUEUE, "acme"), {"rate": Rate(5, 60_000)}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "lane" if value.lane else "queue",
)
def test_under_a_limit_set_while_running_nothing_is_held_ahead(
    store: JobStore, scope: Scope, changes: dict[str, object]
) -> None:
    """What one process held unstarted would use up what another with free threads could start."""
    rules(store)
    store.adjust(scope, changes)
    store.enqueue(some_jobs("j", 20, lane="acme", gate="imap"))
    assert len(fetch(store, "one thread free", credits=1, ahead=96).jobs) == 1
    assert fetch(store, "none free", credits=0, ahead=96).jobs == []
    assert len(fetch(store, "four free", credits=4).jobs) == 4


def test_jobs_that_nothing_limits_are_held_ahead_of_those_that_are(store: JobStore) -> None:
    rules(store)
    store.adjust(Scope(QUEUE, "acme"), {"cap": 5})
    store.enqueue([*some_jobs("free", 3), *some_jobs("limited", 3, lane="acme")])
    given = ids(fetch(store, credits=1, ahead=5))
    assert len([job for job in given if job.startswith("limited")]) <= 1
    store.adjust(Scope(QUEUE, "acme"), {"cap": None})
    assert len(given) + len(fetch(store, credits=1, ahead=5).jobs) == 6


# A queue


def test_a_cap_over_all_workers_holds(store: JobStore) -> None:
    rules(store, global_concurrency=1)
    store.enqueue([a_job("one"), a_job("two")])
    job = take(store, "worker-1")
    held_back = fetch(store, "worker-2")
    assert (held_back.jobs, held_back.more) == ([], ())
    settle(store, job)
    assert ids(fetch(store, "worker-2")) == ["two"]


def test_however_a_delivery_ends_its_place_is_free(store: JobStore, clock: Clock) -> None:
    rules(store, global_concurrency=1)
    store.enqueue(some_jobs("j", 9))
    for outcome in (Outcome.COMPLETED, Outcome.RETRY, Outcome.FAILED, Outcome.INTERRUPTED, Outcome.CANCELLED):
        settle(store, take(store), outcome, delay_ms=10**9)
    take(store, "leaving")
    store.leave("leaving")
    take(store, "dead", lease_ms=10_000)
    lose(store, clock, "dead")
    assert len(fetch(store).jobs) == 1
    assert count(store).active == 1


def test_a_rate_lets_so_many_start_in_any_stretch_of_time(store: JobStore, clock: Clock) -> None:
    rules(store, rate=Rate(3, 10_000))
    store.enqueue(some_jobs("j", 9))
    assert len(fetch(store, credits=2).jobs) == 2
    clock.advance(6_000)
    assert len(fetch(store).jobs) == 1
    clock.advance(3_999)
    held_back = fetch(store)
    assert (held_back.jobs, held_back.next_due) == ([], clock.now + 1)
    clock.advance(1)
    assert len(fetch(store).jobs) == 2
    clock.advance(5_999)
    assert fetch(store).jobs == []
    clock.advance(1)
    assert len(fetch(store).jobs) == 1


def test_what_was_handed_back_unstarted_spends_nothing_of_a_rate(store: JobStore) -> None:
    rules(store, rate=Rate(1, 10_000))
    store.enqueue([a_job("one")])
    settle(store, take(store), Outcome.RETURNED)
    assert ids(fetch(store)) == ["one"]


# Shares


def test_queues_that_share_have_one_cap_together(store: JobStore) -> None:
    shared = QueueRules(share="mail", global_concurrency=2)
    store.configure({"in": shared, "out": shared}, {})
    store.enqueue(some_jobs("i", 3, queue="in") + some_jobs("o", 3, queue="out"))
    first, _ = fetch(store, queues=["in", "out"]).jobs
    assert fetch(store, queues=["in", "out"]).jobs == []
    settle(store, first)
    assert len(fetch(store, queues=["in", "out"]).jobs) == 1


def test_queues_that_share_have_one_rate_together(store: JobStore, clock: Clock) -> None:
    shared = QueueRules(share="mail", rate=Rate(3, 10_000))
    store.configure({"in": shared, "out": shared}, {})
    store.enqueue(some_jobs("i", 3, queue="in") + some_jobs("o", 3, queue="out"))
    assert len(fetch(store, queues=["in"], credits=2).jobs) == 2
    assert len(fetch(store, queues=["out"]).jobs) == 1
    clock.advance(10_000)
    assert len(fetch(store, queues=["out"]).jobs) == 2


# Lanes


def test_a_lanes_cap_holds_back_that_tenant_alone(store: JobStore) -> None:
    rules(store, lane_concurrency=2)
    store.enqueue(some_jobs("a", 5, lane="acme") + some_jobs("b", 1, lane="beta"))
    assert of(sorted(ids(fetch(store)))) == "aab"
    assert lane_of(store, "acme").resting == 3


def test_when_a_lanes_place_is_free_it_goes_on(store: JobStore) -> None:
    rules(store, lane_concurrency=1)
    store.enqueue(some_jobs("a", 2, lane="acme"))
    job = take(store)
    assert fetch(store).jobs == []
    settle(store, job)
    assert lane_of(store, "acme").resting == 0
    assert ids(fetch(store)) == ["a001"]


def test_a_lanes_rate_holds_back_that_tenant_alone(store: JobStore, clock: Clock) -> None:
    rules(store, lane_rate=Rate(1, 10_000))
    store.enqueue(some_jobs("a", 2, lane="acme") + some_jobs("b", 2, lane="beta"))
    fetched = fetch(store)
    assert of(ids(fetched)) == "ab"
    assert fetched.next_due == clock.now + 10_000
    clock.advance(10_000)
    assert of(ids(fetch(store))) == "ab"


def test_a_tenants_own_numbers_win_over_its_queues(store: JobStore) -> None:
    rules(store, lane_concurrency=1)
    store.adjust(Scope(QUEUE, "acme"), {"cap": 3})
    store.adjust(Scope(QUEUE, "free"), {"cap": 0})
    for tenant in ("acme", "beta", "free"):
        store.enqueue(some_jobs(tenant[0], 5, lane=tenant))
    assert of(sorted(ids(fetch(store, credits=50)))) == "aaab" + "f" * 5


# Gates


def test_a_gates_cap_counts_over_all_queues(store: JobStore) -> None:
    numbers = QueueRules(gate_concurrency=1)
    store.configure({"in": numbers, "out": numbers}, {})
    store.enqueue([a_job("i", queue="in", lane="acme", gate="imap")])
    store.enqueue([a_job("o", queue="out", lane="acme", gate="imap")])
    assert len(fetch(store, queues=["in", "out"]).jobs) == 1
    assert fetch(store, queues=["in", "out"]).jobs == []


def test_a_gates_cap_holds_back_neither_the_lane_nor_another_tenants_gate(store: JobStore) -> None:
    rules(store, gate_concurrency=1)
    store.enqueue(some_jobs("a", 2, lane="acme", gate="imap"))
    store.enqueue([a_job("free", lane="acme"), a_job("b", lane="beta", gate="imap")])
    assert sorted(ids(fetch(store))) == ["a000", "b", "free"]


def test_through_a_gate_named_one_goes_one_at_once(store: JobStore) -> None:
    store.enqueue(some_jobs("a", 2, gate="one:import"))
    job = take(store)
    assert fetch(store).jobs == []
    settle(store, job)
    assert ids(fetch(store)) == ["a001"]


def test_a_gates_rate_is_its_own(store: JobStore) -> None:
    rules(store, gate_rate=Rate(1, 10_000))
    store.enqueue(some_jobs("a", 3, gate="imap") + some_jobs("f", 2))
    assert of(sorted(ids(fetch(store)))) == "aff"


# While running


def test_a_raised_cap_counts_at_once(store: JobStore) -> None:
    rules(store, global_concurrency=1)
    store.enqueue(some_jobs("j", 5))
    fetch(store)
    assert fetch(store).jobs == []
    store.adjust(Scope(QUEUE), {"cap": 3})
    assert len(fetch(store).jobs) == 2
    store.adjust(Scope(QUEUE), {"cap": 0})
    assert len(fetch(store).jobs) == 2


def test_a_raised_number_of_lanes_counts_at_once(store: JobStore) -> None:
    rules(store, lane_concurrency=1)
    store.enqueue(some_jobs("a", 5, lane="acme"))
    fetch(store)
    assert fetch(store).jobs == []
    store.adjust(Scope(QUEUE), {"lane_cap": 2})
    assert len(fetch(store).jobs) == 1
    store.adjust(Scope(QUEUE, "acme"), {"cap": 4})
    assert len(fetch(store).jobs) == 2


@pytest.mark.parametrize(
    ("given", "raised", "lifted"),
    [
        ({"gate_concurrency": 1}, {"gate_cap": 2}, {"gate_cap": 0}),
        ({"gate_rate": Rate(1, 60_000)}, {"gate_rate": Rate(2, 60_000)}, {"gate_rate": 0}),
    ],
    ids=["cap", "rate"],
)
def test_a_raised_number_of_gates_counts_at_once(
    store: JobStore, given: dict[str, object], raised: dict[str, object], lifted: dict[str, object]
) -> None:
    rules(store, **given)
    store.enqueue(some_jobs("a", 5, lane="acme", gate="imap"))
    fetch(store)
    assert fetch(store).jobs == []
    store.adjust(Scope(QUEUE), raised)
    assert len(fetch(store).jobs) == 1
    assert fetch(store).jobs == []
    store.adjust(Scope(QUEUE), lifted)
    assert len(fetch(store).jobs) == 3


def test_a_lowered_number_of_gates_counts_for_the_next_start_and_one_at_once_stays_one(
    store: JobStore,
) -> None:
    rules(store)
    store.enqueue([*some_jobs("a", 4, gate="imap"), *some_jobs("b", 4, gate="one:x")])
    store.adjust(Scope(QUEUE), {"gate_cap": 2})
    assert of(sorted(ids(fetch(store)))) == "aab"


def test_what_each_process_keeps_for_itself_is_told_by_queue(store: JobStore) -> None:
    store.adjust(Scope(QUEUE), {"concurrency": 2, "worker_rate": Rate(3, 1_000), "cap": 5})
    store.adjust(Scope("reports"), {"worker_rate": 0})
    store.adjust(Scope("others"), {"cap": 1})
    store.adjust(Scope(QUEUE, "acme"), {"cap": 1})
    assert store.process_rules([QUEUE, "reports", "others", "none"]) == {
        QUEUE: {"concurrency": 2, "worker_rate": Rate(3, 1_000)},
        "reports": {"worker_rate": 0},
    }
    store.adjust(Scope(QUEUE), {"concurrency": None, "worker_rate": None})
    assert store.process_rules([QUEUE]) == {}
    assert store.process_rules([]) == {}


def test_a_changed_weight_counts_from_now_on(store: JobStore) -> None:
    store.enqueue(some_jobs("a", 30, lane="acme") + some_jobs("b", 30, lane="beta"))
    store.adjust(Scope(QUEUE, "beta"), {"weight": 4.0})
    assert lane_of(store, "beta").weight == 4.0
    assert of(ids(fetch(store, credits=10))).count("b") == 8


def test_a_tenant_that_the_settings_do_not_name_any_more_weighs_one(store: JobStore) -> None:
    store.configure({QUEUE: QueueRules()}, {"acme": 3.0, "beta": 2.0})
    store.configure({QUEUE: QueueRules()}, {"beta": 2.0})
    assert (lane_of(store, "acme").weight, lane_of(store, "beta").weight) == (1.0, 2.0)


def test_an_adjustment_holds_until_it_is_taken_back(store: JobStore) -> None:
    rules(store, global_concurrency=5)
    store.adjust(Scope(QUEUE), {"cap": 1, "rate": Rate(9, 1_000)})
    store.adjust(Scope(QUEUE, "acme"), {"weight": 2.0})
    rules(store, global_concurrency=5)
    assert store.adjustments() == {
        Scope(QUEUE): {"cap": 1, "rate": Rate(9, 1_000)},
        Scope(QUEUE, "acme"): {"weight": 2.0},
    }
    store.adjust(Scope(QUEUE), {"cap": None, "rate": None})
    store.adjust(Scope(QUEUE, "acme"), {"weight": None})
    assert store.adjustments() == {}
    store.enqueue(some_jobs("j", 9))
    assert len(fetch(store).jobs) == 5


@pytest.mark.parametrize(
    ("scope", "changes"),
    [
        (Scope(QUEUE), {"retries": 3}),
        (Scope(QUEUE), {"weight": 2.0}),
        (Scope(QUEUE), {"cap": -1}),
        (Scope(QUEUE), {"cap": True}),
        (Scope(QUEUE), {"priority": 11}),
        (Scope(QUEUE), {"rate": 5}),
        (Scope(QUEUE), {"rate": Rate(0, 1_000)}),
        (Scope(QUEUE), {"paused": 1}),
        (Scope(QUEUE), {"concurrency": 0}),
        (Scope(QUEUE), {"worker_rate": 5}),
        (Scope(QUEUE), {"gate_cap": -1}),
        (Scope(QUEUE, "acme"), {"concurrency": 3}),
        (Scope(QUEUE, "acme"), {"priority": 1}),
        (Scope(QUEUE, "acme"), {"weight": 0}),
        (Scope(QUEUE, "acme", "imap"), {"cap": 1}),
    ],
)
def test_what_cannot_be_adjusted_is_refused_and_changes_nothing(
    store: JobStore, scope: Scope, changes: dict[str, object]
) -> None:
    with pytest.raises(InvalidAdjustment):
        store.adjust(scope, {**changes})
    assert store.adjustments() == {}


def test_a_job_that_waits_for_its_rate_says_until_when(store: JobStore, clock: Clock) -> None:
    rules(store, rate=Rate(1, 10_000))
    store.enqueue([a_job("first"), a_job("second")])
    fetch(store)
    standing = store.standing("second")
    assert standing is not None
    assert (standing.rest_scope, standing.rests_until) == ("rate", clock.now + 10_000)
