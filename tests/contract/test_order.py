"""In which order jobs start: by priority, fair between tenants, first come first served within one."""

from jobs.model import Outcome, Retention
from jobs.rules import QueueRules, Rate
from jobs.store import JobStore
from tests.contract.clock import Clock
from tests.contract.steps import (
    QUEUE,
    a_job,
    fetch,
    found,
    ids,
    of,
    rules,
    run_order,
    settle,
    some_jobs,
    take,
)


def test_jobs_run_by_priority_and_then_first_come_first_served(store: JobStore) -> None:
    store.enqueue(
        [a_job("normal"), a_job("late", priority=9), a_job("normal-2"), a_job("urgent", priority=1)]
    )
    assert ids(fetch(store)) == ["urgent", "normal", "normal-2", "late"]


def test_first_come_is_by_the_call_and_then_by_the_order_in_it(store: JobStore) -> None:
    store.enqueue([a_job("z"), a_job("y")])
    store.enqueue([a_job("a")])
    assert ids(fetch(store)) == ["z", "y", "a"]


def test_the_priority_of_a_waiting_job_can_be_changed_and_its_place_stays(store: JobStore) -> None:
    store.enqueue([a_job("one"), a_job("two"), a_job("three")])
    assert store.set_priority(["three", "unknown"], 1) == [True, False]
    store.set_priority(["three"], 5)
    assert found(store, "three").priority == 5
    assert ids(fetch(store)) == ["one", "two", "three"]


def test_a_new_priority_moves_a_job_to_its_band(store: JobStore) -> None:
    store.enqueue([a_job("one"), a_job("two")])
    store.set_priority(["two"], 1)
    assert ids(fetch(store)) == ["two", "one"]


def test_the_priority_of_a_delayed_job_counts_when_it_falls_due(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("soon", delay_ms=1_000)])
    assert store.set_priority(["soon"], 1) == [True]
    store.enqueue([a_job("one")])
    clock.advance(1_000)
    assert ids(fetch(store)) == ["soon", "one"]


def test_what_runs_or_ended_keeps_its_priority(store: JobStore) -> None:
    store.enqueue([a_job("one")])
    job = take(store)
    assert store.set_priority(["one"], 1) == [False]
    settle(store, job)
    assert store.set_priority(["one"], 1) == [False]


def test_a_tenants_single_job_does_not_wait_for_anothers_thousand(store: JobStore) -> None:
    store.enqueue(some_jobs("a", 300, lane="acme"))
    run_order(store, 50)
    store.enqueue([a_job("zeta", lane="zeta")])
    assert "zeta" in run_order(store, 2)


def test_tenants_take_turns(store: JobStore) -> None:
    store.enqueue(
        some_jobs("a", 4, lane="acme") + some_jobs("b", 4, lane="beta") + some_jobs("c", 4, lane="c")
    )
    assert of(run_order(store)) == "abcabcabcabc"


def test_a_batch_is_as_fair_as_single_fetches(store: JobStore) -> None:
    store.enqueue(some_jobs("a", 4, lane="acme") + some_jobs("b", 4, lane="beta"))
    assert of(ids(fetch(store, credits=6))) == "ababab"


def test_jobs_without_a_tenant_share_one_lane(store: JobStore) -> None:
    store.enqueue(some_jobs("n", 4) + some_jobs("a", 2, lane="acme"))
    assert of(run_order(store)) == "nanann"


def test_a_weight_is_a_share(store: JobStore) -> None:
    store.configure({}, {"acme": 3.0})
    store.enqueue(some_jobs("a", 30, lane="acme") + some_jobs("b", 30, lane="beta"))
    order = of(run_order(store, 16))
    assert (order.count("a"), order.count("b")) == (12, 4)


def test_a_lane_that_was_idle_gets_no_credit_for_the_past(store: JobStore) -> None:
    store.enqueue(some_jobs("a", 60, lane="acme"))
    run_order(store, 40)
    store.enqueue(some_jobs("b", 10, lane="beta"))
    order = of(run_order(store, 10))
    assert order.count("b") in (5, 6)  # it may go first, and then they take turns


def test_an_empty_lane_still_owes_what_it_took(store: JobStore) -> None:
    """Adding jobs one by one is no way around fairness."""
    store.enqueue(some_jobs("b", 20, lane="beta"))
    order = ""
    for n in range(10):
        store.enqueue([a_job(f"a{n}", lane="acme")])
        order += of(run_order(store, 2))
    assert order.count("a") == 10
    assert order.count("b") == 10


def test_the_gates_of_a_tenant_share_its_part(store: JobStore) -> None:
    for gate in ("x", "y", "z"):
        store.enqueue(some_jobs(f"a{gate}", 10, lane="acme", gate=gate))
    store.enqueue(some_jobs("b", 30, lane="beta"))
    order = of(run_order(store, 24))
    assert order.count("b") in (11, 12, 13)


def test_where_a_queue_is_fair_in_time_long_jobs_cost_more(store: JobStore, clock: Clock) -> None:
    rules(store, fairness="time")
    store.enqueue(some_jobs("a", 60, lane="acme") + some_jobs("b", 60, lane="beta"))
    order = ""
    for _ in range(60):
        job = take(store)
        order += job.id[0]
        clock.advance(300 if job.lane == "acme" else 100)
        settle(store, job)
    late = order[10:]
    assert 2.5 < late.count("b") / late.count("a") < 3.5


def test_a_job_handed_back_costs_its_lane_nothing(store: JobStore) -> None:
    store.enqueue(some_jobs("a", 3, lane="acme") + some_jobs("b", 3, lane="beta"))
    settle(store, take(store), Outcome.RETURNED)
    assert of(run_order(store)) == "ababab"


def test_a_retry_without_delay_goes_to_the_end_of_its_lane(store: JobStore) -> None:
    store.enqueue([a_job("one"), a_job("two")])
    settle(store, take(store), Outcome.RETRY)
    assert ids(fetch(store)) == ["two", "one"]


def test_a_delayed_job_goes_by_when_it_fell_due(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("due", delay_ms=1_000)])
    clock.advance(2_000)
    store.enqueue([a_job("new")])
    assert ids(fetch(store)) == ["due", "new"]


def test_queues_take_turns(store: JobStore, clock: Clock) -> None:
    for queue in ("a", "b"):
        store.enqueue(some_jobs(queue, 3, queue=queue))
    turns = ""
    for _ in range(4):
        clock.advance(1)
        turns += take(store, queues=["a", "b"]).queue
    assert turns == "abab"


def test_queues_that_new_settings_wake_take_turns_as_the_settings_name_them(store: JobStore) -> None:
    spent = QueueRules(rate=Rate(1, 60_000))
    store.configure({"a": spent, "b": spent}, {})
    for queue in ("a", "b"):
        store.enqueue(some_jobs(queue, 2, queue=queue))
    assert sorted(ids(fetch(store, queues=["a", "b"]))) == ["a000", "b000"]
    assert ids(fetch(store, queues=["a", "b"])) == []

    store.configure({"b": QueueRules(), "a": QueueRules()}, {})
    assert take(store, queues=["a", "b"]).queue == "b"


def test_a_queue_that_was_out_of_its_rate_has_its_turn_after_those_that_waited(
    store: JobStore, clock: Clock
) -> None:
    """A gate in it that wakes meanwhile changes nothing: its queue may not start anything yet."""
    store.configure({"spent": QueueRules(rate=Rate(4, 5_000), gate_concurrency=1)}, {})
    store.enqueue(some_jobs("free", 4, queue="spent") + some_jobs("gated", 2, queue="spent", gate="imap"))
    started = fetch(store, queues=["spent"], credits=4)
    assert of(ids(started)) == "fgff"
    assert fetch(store, queues=["spent"]).jobs == []
    settle(store, started.jobs[1])
    store.enqueue([a_job("waited", queue="other")])

    clock.advance(5_000)
    assert run_order(store, 2, queues=["spent", "other"])[0] == "waited"


def test_a_queue_that_was_emptied_has_lost_its_turn_by_the_next_tidying(store: JobStore) -> None:
    store.enqueue([a_job("gone", queue="a")])
    store.enqueue([a_job("waited", queue="b")])
    store.remove(["gone"])
    store.trim({"a": Retention(1_000, 1_000)})
    store.enqueue([a_job("late", queue="a")])
    assert run_order(store, 2, queues=["a", "b"]) == ["waited", "late"]


def test_names_that_begin_alike_do_not_mix(store: JobStore) -> None:
    store.enqueue([a_job("1", queue="email"), a_job("2", queue=QUEUE), a_job("3", queue="emails")])
    assert [stats.waiting for stats in store.stats(["email", QUEUE, "emails"])] == [1, 1, 1]
    assert ids(fetch(store, queues=["email"])) == ["1"]


def test_lanes_and_gates_that_begin_alike_do_not_mix(store: JobStore) -> None:
    store.enqueue([a_job("1", lane="a"), a_job("2", lane="ab"), a_job("3", lane="a", gate="b")])
    assert [stats.waiting for stats in store.lanes(QUEUE, ["a", "ab"])] == [2, 1]
    assert len(fetch(store).jobs) == 3


def test_a_change_of_priority_scope_moves_what_waits_already(store: JobStore) -> None:
    """Jobs may be sent before the first worker has told the store its rules."""
    store.enqueue([*some_jobs("flood", 3, lane="acme", priority=1), a_job("one", lane="zeta", priority=9)])
    store.configure({QUEUE: QueueRules(priority_scope="lane")}, {})
    assert ids(fetch(store, credits=2)) == ["flood000", "one"]

    store.configure({QUEUE: QueueRules(priority_scope="queue")}, {})
    store.enqueue([a_job("late", lane="zeta", priority=2)])
    assert ids(fetch(store)) == ["flood001", "flood002", "late"]
