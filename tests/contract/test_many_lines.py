"""Many tenants that may not run: no call looks at all of them, and what changes for them counts at once."""

from collections.abc import Callable

import pytest

from jobs.model import FetchRequest, Outcome, Scope, Verdict
from jobs.rules import QueueRules, Rate
from jobs.store import JobStore
from tests.contract.clock import Clock
from tests.contract.steps import QUEUE, a_job, count, fetch, ids, rules, settle, some_jobs, take

DAY_MS = 86_400_000


def out_of_rate(store: JobStore, tenants: int, **limits: object) -> None:
    """Each tenant has had its start and has a job that waits for the next."""
    rules(store, **(limits or {"lane_rate": Rate(1, DAY_MS)}))  # type: ignore[arg-type]
    store.enqueue([a_job(lane=f"t{n:05}") for n in range(tenants) for _ in range(2)])
    assert len(fetch(store, credits=tenants, each=tenants).jobs) == tenants


def find_out(store: JobStore) -> int:
    """Fetch until nothing is said to be left; how often that was."""
    fetches = 1
    while fetch(store).more:
        fetches += 1
    return fetches


def test_a_fetch_meets_about_a_hundred_lanes_and_says_that_there_is_more(
    store: JobStore, clock: Clock
) -> None:
    out_of_rate(store, 250)
    met = []
    for _ in range(3):
        fetched = fetch(store)
        assert fetched.jobs == []
        met.append((count(store).resting, fetched.more))
    assert met == [(100, (QUEUE,)), (200, (QUEUE,)), (250, ())]
    assert fetch(store).next_due == clock.now + DAY_MS


def test_who_may_run_behind_many_who_may_not_is_found(store: JobStore) -> None:
    out_of_rate(store, 250)
    store.adjust(Scope(QUEUE, "t00249"), {"rate": 0})
    found = [job.lane for _ in range(3) for job in fetch(store).jobs]
    assert found == ["t00249"]


def test_a_queue_with_many_who_may_not_run_does_not_hold_up_the_others(store: JobStore) -> None:
    out_of_rate(store, 250)
    store.enqueue([a_job("other", queue="reports")])
    assert ids(fetch(store, queues=[QUEUE, "reports"])) == ["other"]


def test_many_gates_out_of_rate_are_met_in_several_fetches_too(store: JobStore) -> None:
    rules(store, gate_rate=Rate(1, DAY_MS))
    store.enqueue([a_job(lane="acme", gate=f"g{n:03}") for n in range(250) for _ in range(2)])
    assert len(fetch(store, credits=250, each=250).jobs) == 250
    assert find_out(store) == 3
    assert count(store).resting == 250


# Rules that change


@pytest.mark.parametrize("limit", ["lane_rate", "lane_cap"])
def test_a_number_that_is_lifted_while_running_wakes_all_whom_it_held_back(
    store: JobStore, limit: str
) -> None:
    if limit == "lane_rate":
        out_of_rate(store, 1_100)
    else:
        out_of_rate(store, 1_100, lane_concurrency=1)
    find_out(store)
    assert count(store).resting == 1_100
    store.adjust(Scope(QUEUE), {limit: 0})
    assert count(store).resting == 0
    assert len(fetch(store, credits=1_100, each=1_100).jobs) == 1_100


def test_a_number_that_is_lifted_during_a_pause_counts_after_it(store: JobStore) -> None:
    out_of_rate(store, 3)
    find_out(store)
    store.adjust(Scope(QUEUE), {"paused": True, "lane_cap": 9})
    assert fetch(store).jobs == []
    store.adjust(Scope(QUEUE), {"lane_rate": 0})
    assert fetch(store).jobs == []
    store.adjust(Scope(QUEUE), {"paused": None})
    assert len(fetch(store).jobs) == 3


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"rate": Rate(1, DAY_MS)}, {}),
        ({"rate": Rate(1, DAY_MS)}, {"rate": Rate(9, DAY_MS)}),
        ({"global_concurrency": 1}, {"global_concurrency": 5}),
        ({"lane_rate": Rate(1, DAY_MS)}, {}),
        ({"lane_concurrency": 1}, {"lane_concurrency": 5}),
        ({"gate_rate": Rate(1, DAY_MS)}, {}),
        ({"gate_concurrency": 1}, {"gate_concurrency": 5}),
        ({"share": "mail", "global_concurrency": 1}, {"share": "mail", "global_concurrency": 5}),
    ],
    ids=str,
)
def test_settings_that_let_more_run_wake_what_the_former_ones_held_back(
    store: JobStore, before: dict[str, object], after: dict[str, object]
) -> None:
    rules(store, **before)  # type: ignore[arg-type]
    store.enqueue(some_jobs("j", 5, lane="acme", gate="imap"))
    assert len(fetch(store).jobs) == 1
    assert fetch(store).jobs == []
    rules(store, **after)  # type: ignore[arg-type]
    assert count(store).resting == 0
    assert len(fetch(store).jobs) == 4


def test_settings_that_hold_more_back_do_so(store: JobStore) -> None:
    store.enqueue(some_jobs("j", 5, lane="acme"))
    rules(store, lane_concurrency=1)
    assert len(fetch(store).jobs) == 1


# A place that becomes free


def of_a_share(store: JobStore) -> str:
    shared = QueueRules(share="mail", global_concurrency=1)
    store.configure({"a": shared, "b": shared}, {})
    store.enqueue([a_job("a1", queue="a"), a_job("b1", queue="b")])
    return "a"


def of_a_gate(store: JobStore) -> str:
    store.enqueue([a_job(f"{queue}1", queue=queue, lane="acme", gate="one:import") for queue in "ab"])
    return "a"


@pytest.mark.parametrize("limited", [of_a_share, of_a_gate])
def test_a_free_place_is_news_of_the_other_queue(store: JobStore, limited: Callable[[JobStore], str]) -> None:
    """Who settles serves one queue; the place is for the other, which must not wait until somebody looks."""
    mine = limited(store)
    job = take(store, queues=[mine])
    assert fetch(store, "another", queues=["b"]).jobs == []
    verdict = Verdict(job.id, job.token, Outcome.COMPLETED)
    _, fetched = store.settle_and_fetch([verdict], FetchRequest("worker-1", "next", 1, {mine: 1}))
    assert (fetched.jobs, fetched.more) == ([], ("b",))


@pytest.mark.parametrize("limited", [of_a_share, of_a_gate])
def test_a_free_place_wakes_who_waits_for_the_other_queue(
    store: JobStore, limited: Callable[[JobStore], str]
) -> None:
    job = take(store, queues=[limited(store)])
    while store.wait_for_work(["b"], 5):  # what the enqueue left behind
        assert fetch(store, "another", queues=["b"]).jobs == []
    settle(store, job)
    assert store.wait_for_work(["b"], 1_000) == "b"


def test_a_free_place_that_the_same_fetch_took_is_no_news(store: JobStore) -> None:
    rules(store, global_concurrency=1)
    store.enqueue(some_jobs("j", 3))
    job = take(store)
    assert fetch(store).jobs == []
    verdict = Verdict(job.id, job.token, Outcome.COMPLETED)
    _, fetched = store.settle_and_fetch([verdict], FetchRequest("worker-1", "next", 1, {QUEUE: 1}))
    assert (ids(fetched), fetched.more) == (["j001"], ())
