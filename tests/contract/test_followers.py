"""Jobs that follow from a verdict: in its step, or not at all."""

import pytest

from jobs.model import (
    LAST_TIME,
    FetchRequest,
    Outcome,
    Scope,
    Settled,
    Unique,
    UniqueMode,
    Verdict,
)
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
    state_of,
    take,
)


@pytest.mark.parametrize("outcome", [Outcome.COMPLETED, Outcome.FAILED, Outcome.RETRY, Outcome.CANCELLED])
def test_a_job_follows_with_its_verdict(store: JobStore, outcome: Outcome) -> None:
    store.enqueue([a_job("first")])
    follower = a_job("next", queue="other", lane="acme", payload=b"\x00\xff", priority=2, max_attempts=7)
    assert settle(store, take(store), outcome, delay_ms=60_000, follow=(follower,)) is Settled.STORED

    job = take(store, queues=["other"])
    assert (job.id, job.payload, job.lane, job.priority, job.max_attempts) == (
        "next",
        b"\x00\xff",
        "acme",
        2,
        7,
    )


def test_a_repeated_verdict_has_nothing_follow_again(store: JobStore) -> None:
    store.enqueue([a_job("first")])
    job = take(store)
    verdict = Verdict(job.id, job.token, Outcome.COMPLETED, follow=(a_job("next"),))
    assert store.settle("worker-1", [verdict]) == [Settled.STORED]
    store.remove(["next"])
    again = verdict._replace(follow=(a_job("another"),))
    assert store.settle("worker-1", [again]) == [Settled.REPEATED]
    assert store.get("another") is None


def test_nothing_follows_from_a_refused_verdict(store: JobStore, clock: Clock) -> None:
    store.register(a_worker("worker-1"), 10)
    store.enqueue([a_job("first")])
    job = take(store, lease_ms=10)
    assert lose(store, clock, "worker-1") == 1
    assert settle(store, job, follow=(a_job("next"),)) is Settled.REFUSED
    assert store.get("next") is None


def test_an_id_that_is_there_does_not_follow_a_second_time(store: JobStore) -> None:
    store.enqueue([a_job("first"), a_job("second")])
    for job in fetch(store).jobs:
        settle(store, job, follow=(a_job("next"), a_job("next")))
    assert count(store).waiting == 1


def test_followers_come_one_after_the_other_behind_what_waits(store: JobStore) -> None:
    store.enqueue([a_job("first"), a_job("waits")])
    settle(store, take(store), follow=(a_job("next-1"), a_job("next-2")))
    assert ids(fetch(store)) == ["waits", "next-1", "next-2"]


def test_a_delayed_follower_waits_for_its_time(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("first")])
    settle(store, take(store), follow=(a_job("next", delay_ms=5_000), a_job("last", run_at_ms=LAST_TIME)))
    fetched = fetch(store)
    assert (fetched.jobs, fetched.next_due) == ([], clock.now + 5_000)
    clock.advance(5_000)
    assert ids(fetch(store)) == ["next"]
    assert state_of(store, "last") is JobState.DELAYED


def test_a_follower_that_holds_a_unique_name_keeps_the_rules(store: JobStore) -> None:
    once = Unique("invoice-7", UniqueMode.UNTIL_FINISHED)
    newest = Unique("invoice-8", UniqueMode.DEBOUNCE)
    store.enqueue([a_job("first", unique=once), a_job("old", unique=newest)])
    settle(
        store,
        take(store),
        # The first one's name is free with its verdict; the third meets it.
        follow=(a_job("next", unique=once), a_job("third", unique=once), a_job("new", unique=newest)),
    )
    assert ids(fetch(store)) == ["next", "new"]
    assert (store.get("third"), store.get("old")) == (None, None)


def test_a_follower_goes_through_its_gate_and_wakes_its_queue(store: JobStore) -> None:
    store.enqueue([a_job("first")])
    store.adjust(Scope("other"), {"paused": True})
    settle(store, take(store), follow=(a_job("gated", gate="printer"), a_job("paused", queue="other")))
    assert found(store, "gated").gate == "printer"
    assert store.wait_for_work([QUEUE], 10) == QUEUE
    assert ids(fetch(store)) == ["gated"]
    assert fetch(store, queues=["other"]).jobs == []


def test_settling_and_fetching_at_once_brings_the_follower(store: JobStore) -> None:
    store.enqueue([a_job("first")])
    job = take(store)
    verdict = Verdict(
        job.id, job.token, Outcome.COMPLETED, follow=(a_job("next"), a_job("far", queue="other"))
    )
    answers, fetched = store.settle_and_fetch(
        [verdict], FetchRequest("worker-1", "t", 1, {QUEUE: 1}, LONG_MS)
    )
    assert (answers, ids(fetched)) == ([Settled.STORED], ["next"])
    assert fetched.more == ("other",)


def test_a_delivery_says_which_one_was_settled_before_it(store: JobStore, clock: Clock) -> None:
    """A lost lease leaves it as it is, so what a delivery sends elsewhere has the same id the next time."""
    store.register(a_worker("worker-1"), 10)
    store.enqueue([a_job("first")])
    assert take(store, lease_ms=10).settled == 0
    lose(store, clock, "worker-1")
    again = take(store, "worker-2")
    assert (again.token, again.settled) == (2, 0)
    settle(store, again, Outcome.FAILED, "worker-2")
    store.retry_dead(["first"])
    assert take(store).settled == 2


def test_a_result_ends_before_its_job_when_it_says_so(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("short"), a_job("long"), a_job("without")])
    short, long, without = fetch(store).jobs
    settle(store, short, record=b'{"result":1}', result_ms=60_000)
    settle(store, long, record=b'{"result":2}')
    settle(store, without, result_ms=60_000)
    clock.advance(59_000)
    store.trim({})
    assert found(store, "short").record == b'{"result":1}'
    clock.advance(1_000)
    store.trim({})
    assert found(store, "short").record == b'{"result":null,"note":"its time was over"}'
    assert found(store, "long").record == b'{"result":2}'
    assert found(store, "without").record is None, "it stored none that could end"
