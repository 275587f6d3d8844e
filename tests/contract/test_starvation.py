"""Priority is not for ever: what is lower gets at least one start in twenty."""

from jobs.model import Scope
from jobs.rules import QueueRules
from jobs.store import JobStore
from tests.contract.clock import Clock
from tests.contract.steps import a_job, fetch, ids, of, rules, run_order, some_jobs, take


def test_a_lower_band_gets_one_start_in_twenty(store: JobStore) -> None:
    store.enqueue(some_jobs("u", 60, priority=1) + some_jobs("n", 60))
    order = of(run_order(store, 60))
    assert order.count("n") == 3
    for start in range(40):
        assert "n" in order[start : start + 20]


def test_the_bound_holds_for_batches_too(store: JobStore) -> None:
    store.enqueue(some_jobs("u", 60, priority=1) + some_jobs("n", 60))
    assert of(ids(fetch(store, credits=60))).count("n") == 3


def test_of_several_lower_bands_each_gets_its_one_in_twenty(store: JobStore) -> None:
    store.enqueue([job for n in range(1, 6) for job in some_jobs(str(n), 60, priority=n)])
    order = of(run_order(store, 60))
    assert [order.count(band) for band in "12345"] == [48, 3, 3, 3, 3]


def test_a_band_alone_owes_nothing_later(store: JobStore) -> None:
    store.enqueue(some_jobs("u", 40, priority=1))
    run_order(store, 30)
    store.enqueue([a_job("n")])
    assert "n" not in of(run_order(store, 10))


def test_with_scope_lane_tenants_come_before_bands(store: JobStore) -> None:
    rules(store, priority_scope="lane")
    store.enqueue(some_jobs("a", 20, lane="acme", priority=1) + some_jobs("b", 20, lane="beta", priority=9))
    assert of(run_order(store, 8)) == "abababab"


def test_with_scope_lane_priority_still_orders_a_tenants_own_jobs(store: JobStore) -> None:
    rules(store, priority_scope="lane")
    store.enqueue([a_job("late", priority=9), a_job("first", priority=1)])
    assert ids(fetch(store)) == ["first", "late"]


def test_with_scope_lane_a_tenants_lower_priority_gets_one_start_in_twenty_of_its_own(
    store: JobStore,
) -> None:
    rules(store, priority_scope="lane")
    store.enqueue(some_jobs("u", 60, lane="acme", priority=1) + some_jobs("n", 60, lane="acme", priority=10))
    order = of(run_order(store, 60))
    assert order.count("n") == 3
    for start in range(40):
        assert "n" in order[start : start + 20]


def test_with_scope_lane_the_bound_holds_for_batches_and_for_each_of_several_priorities(
    store: JobStore,
) -> None:
    rules(store, priority_scope="lane")
    store.enqueue([job for n in range(1, 6) for job in some_jobs(str(n), 60, lane="acme", priority=n)])
    order = of(ids(fetch(store, credits=60)))
    assert [order.count(priority) for priority in "12345"] == [48, 3, 3, 3, 3]


def test_with_scope_lane_one_priority_alone_owes_nothing_later(store: JobStore) -> None:
    rules(store, priority_scope="lane")
    store.enqueue(some_jobs("u", 40, priority=1))
    run_order(store, 30)
    store.enqueue([a_job("n", priority=9)])
    assert "n" not in of(run_order(store, 10))


def test_with_scope_queue_bands_come_before_tenants(store: JobStore) -> None:
    store.enqueue(some_jobs("a", 5, lane="acme", priority=1) + some_jobs("b", 5, lane="beta"))
    assert of(run_order(store)) == "aaaaabbbbb"


def test_a_queue_of_a_better_class_goes_first(store: JobStore) -> None:
    store.configure({"alerts": QueueRules(priority=1), "reports": QueueRules(priority=9)}, {})
    store.enqueue(some_jobs("r", 5, queue="reports") + some_jobs("a", 5, queue="alerts"))
    assert of(ids(fetch(store, queues=["reports", "alerts"]))) == "aaaaarrrrr"


def test_a_queue_of_a_lower_class_gets_one_start_in_twenty(store: JobStore, clock: Clock) -> None:
    store.configure({"alerts": QueueRules(priority=1), "reports": QueueRules(priority=9)}, {})
    store.enqueue(some_jobs("r", 60, queue="reports") + some_jobs("a", 60, queue="alerts"))
    singly = of(run_order(store, 40, queues=["reports", "alerts"]))
    assert singly.count("r") == 2
    clock.advance(1)
    assert of(ids(fetch(store, credits=20, queues=["reports", "alerts"]))).count("r") == 1


def test_the_class_of_a_queue_can_be_changed_while_it_runs(store: JobStore) -> None:
    store.enqueue([a_job("a", queue="alerts"), a_job("r", queue="reports")])
    store.adjust(Scope("reports"), {"priority": 1})
    assert take(store, queues=["alerts", "reports"]).id == "r"


def test_a_process_that_does_not_serve_a_queue_owes_it_nothing(store: JobStore) -> None:
    store.configure({"alerts": QueueRules(priority=1), "reports": QueueRules(priority=9)}, {})
    store.enqueue(some_jobs("r", 5, queue="reports") + some_jobs("a", 60, queue="alerts"))
    run_order(store, 40, queues=["alerts"])
    assert of(run_order(store, 10, queues=["alerts", "reports"])) == "a" * 10
