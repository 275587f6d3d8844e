"""Which process runs a suspect, and when: no job waits for ever, and a fleet goes on with its other work."""

from collections.abc import Sequence

import pytest

from jobs.model import LAST_TIME, FetchedJob, Outcome, RestScope, Scope
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
    lane_of,
    lose,
    rules,
    run_order,
    settle,
    some_jobs,
    take,
)

MINUTE_MS = 60_000


def suspects(store: JobStore, clock: Clock, number: int = 1, **changes: object) -> None:
    """So many jobs, s000 first, were lost with their worker."""
    store.enqueue(some_jobs("s", number, **changes))
    fetch(store, "dead", credits=number, queues=(QUEUE, "reports"), lease_ms=10_000)
    assert lose(store, clock, "dead") == number


def fleet(store: JobStore, size: int) -> list[str]:
    """So many processes live, with the one that noticed the loss."""
    owners = [f"worker-{n}" for n in range(1, size)]
    for owner in owners:
        store.register(a_worker(owner), LONG_MS)
    return [*owners, "watching"]


def asked_to_become_empty(store: JobStore, owners: Sequence[str]) -> list[str]:
    """Those of these busy processes that shall start nothing more."""
    return [owner for owner in owners if fetch(store, owner, credits=1, busy=True).suspect]


def the_suspect_of(store: JobStore, owner: str) -> FetchedJob:
    (job,) = fetch(store, owner).jobs
    assert job.lost_leases
    return job


# Becoming empty


def test_a_turn_lasts_until_the_process_is_empty(store: JobStore, clock: Clock) -> None:
    suspects(store, clock)
    store.enqueue([a_job("neighbour")])
    for _ in range(60):
        assert fetch(store, "worker-1", busy=True).suspect
        clock.advance(5_000)
    assert ids(fetch(store, "worker-1")) == ["s000"]


def stays_busy(store: JobStore, clock: Clock, owner: str, minutes: int) -> None:
    """It asks again and again, and is always told to become empty."""
    for _ in range(10 * minutes):
        clock.advance(6_000)
        assert fetch(store, owner, busy=True).suspect


def test_one_that_cannot_become_empty_makes_way_for_another(store: JobStore, clock: Clock) -> None:
    suspects(store, clock)
    store.enqueue(some_jobs("j", 9))
    assert asked_to_become_empty(store, ["worker-1", "worker-2"]) == ["worker-1"]
    stays_busy(store, clock, "worker-1", 9)
    assert asked_to_become_empty(store, ["worker-1", "worker-2"]) == ["worker-1"]
    stays_busy(store, clock, "worker-1", 1)
    assert asked_to_become_empty(store, ["worker-2", "worker-1"]) == ["worker-2"]


def test_each_may_take_twice_as_long_as_the_one_before(store: JobStore, clock: Clock) -> None:
    suspects(store, clock)
    store.enqueue(some_jobs("j", 20))
    fetch(store, "worker-1", busy=True)
    stays_busy(store, clock, "worker-1", 10)
    fetch(store, "worker-2", busy=True)
    stays_busy(store, clock, "worker-2", 19)
    assert asked_to_become_empty(store, ["worker-1"]) == []
    stays_busy(store, clock, "worker-2", 1)
    assert asked_to_become_empty(store, ["worker-1"]) == ["worker-1"]


def test_once_a_suspect_has_run_nobody_waits_longer_than_at_first(store: JobStore, clock: Clock) -> None:
    suspects(store, clock, 2)
    store.enqueue(some_jobs("j", 20))
    fetch(store, "worker-1", busy=True)
    stays_busy(store, clock, "worker-1", 10)
    fetch(store, "worker-2", busy=True)
    settle(store, the_suspect_of(store, "worker-2"), owner="worker-2")
    stays_busy(store, clock, "worker-2", 10)
    assert asked_to_become_empty(store, ["worker-1"]) == ["worker-1"]


def test_one_that_is_alone_in_its_fleet_keeps_its_turn(store: JobStore, clock: Clock) -> None:
    suspects(store, clock)
    store.leave("watching")
    for _ in range(24):
        assert fetch(store, "worker-1", busy=True).suspect
        clock.advance(60 * MINUTE_MS)
        store.renew("worker-1", LONG_MS)
    assert ids(fetch(store, "worker-1")) == ["s000"]


def test_an_empty_process_takes_it_at_once_and_the_other_may_go_on(store: JobStore, clock: Clock) -> None:
    suspects(store, clock)
    store.enqueue([a_job("neighbour")])
    assert fetch(store, "worker-1", busy=True).suspect
    assert ids(fetch(store, "worker-2")) == ["s000"]
    on = fetch(store, "worker-1", busy=True)
    assert (ids(on), on.suspect) == (["neighbour"], False)


def test_one_that_is_not_heard_of_any_more_has_no_turn(store: JobStore, clock: Clock) -> None:
    suspects(store, clock)
    fetch(store, "frozen", busy=True)
    clock.advance(9_000)
    assert asked_to_become_empty(store, ["worker-2"]) == []
    clock.advance(1_000)
    assert asked_to_become_empty(store, ["worker-2"]) == ["worker-2"]


def test_the_turn_of_a_process_that_left_is_anothers_at_once(store: JobStore, clock: Clock) -> None:
    suspects(store, clock)
    fetch(store, "leaving", busy=True)
    assert asked_to_become_empty(store, ["worker-2"]) == []
    store.leave("leaving")
    assert asked_to_become_empty(store, ["worker-2"]) == ["worker-2"]


def test_a_process_that_serves_no_queue_with_a_suspect_has_no_turn(store: JobStore, clock: Clock) -> None:
    suspects(store, clock)
    store.enqueue([a_job("other", queue="reports")])
    fetch(store, "worker-1", queues=(QUEUE, "reports"), busy=True)
    gone_over = fetch(store, "worker-1", queues=("reports",), busy=True)
    assert (ids(gone_over), gone_over.suspect) == (["other"], False)
    assert asked_to_become_empty(store, ["worker-2"]) == ["worker-2"]


def test_a_queue_without_room_shows_its_suspects_all_the_same(store: JobStore, clock: Clock) -> None:
    suspects(store, clock)
    assert fetch(store, queues={QUEUE: 0, "reports": 3}, busy=True).suspect


def test_who_becomes_empty_is_not_taken_for_idle(store: JobStore, clock: Clock) -> None:
    suspects(store, clock)
    store.enqueue(some_jobs("j", 5))
    assert fetch(store, "worker-1", busy=True).suspect
    assert len(fetch(store, "worker-2", credits=1, ahead=2, busy=True).jobs) == 3


@pytest.mark.parametrize("busy", [True, False])
def test_who_works_for_a_suspect_leaves_the_timers_to_others(
    store: JobStore, clock: Clock, busy: bool
) -> None:
    store.enqueue([a_job("later", queue="reports", delay_ms=60_000)])
    store.enqueue([a_job("s000")])
    take(store, "dead", lease_ms=10_000)
    fetch(store, "worker-1", queues=("reports",))  # it watches
    assert lose(store, clock, "dead") == 1
    assert fetch(store, "worker-1", busy=busy).watch == "reports"


# Several turns at once


def test_half_of_the_processes_run_suspects_and_the_others_go_on(store: JobStore, clock: Clock) -> None:
    suspects(store, clock, 8)
    store.enqueue(some_jobs("j", 20))
    owners = fleet(store, 6)
    assert asked_to_become_empty(store, owners) == owners[:3]
    given = [ids(fetch(store, owner, credits=1)) for owner in owners]
    assert given[:3] == [["s000"], ["s001"], ["s002"]]
    assert [job for (job,) in given[3:]] == ["j003", "j004", "j005"]


def test_no_more_become_empty_than_there_are_suspects(store: JobStore, clock: Clock) -> None:
    suspects(store, clock, 2)
    owners = fleet(store, 10)
    assert asked_to_become_empty(store, owners) == owners[:2]
    assert asked_to_become_empty(store, owners) == owners[:2], "they are asked again and again"


def test_who_began_last_goes_on_when_fewer_are_needed(store: JobStore, clock: Clock) -> None:
    suspects(store, clock, 2)
    store.enqueue(some_jobs("j", 2))
    first, second, third, *_ = owners = fleet(store, 8)
    assert asked_to_become_empty(store, [second]) == [second]
    clock.advance(1)
    assert asked_to_become_empty(store, [first]) == [first]
    assert ids(fetch(store, third)) == ["s000"]
    assert asked_to_become_empty(store, owners[:2]) == [second]


def test_who_becomes_empty_counts_with_those_that_run_suspects(store: JobStore, clock: Clock) -> None:
    suspects(store, clock, 9)
    store.enqueue(some_jobs("j", 9))
    first, second, third, fourth = fleet(store, 4)
    assert asked_to_become_empty(store, [first, second, third]) == [first, second]
    assert ids(fetch(store, fourth)) == ["s000"]
    assert asked_to_become_empty(store, [first, second, third]) == [first]


def test_an_empty_process_goes_on_where_half_of_them_run_suspects(store: JobStore, clock: Clock) -> None:
    suspects(store, clock, 3)
    store.enqueue([a_job("neighbour")])
    assert ids(fetch(store, "worker-1")) == ["s000"]
    assert ids(fetch(store, "worker-2")) == ["neighbour"]


def test_a_process_runs_one_suspect_after_the_other(store: JobStore, clock: Clock) -> None:
    suspects(store, clock, 3)
    store.enqueue([a_job("neighbour")])
    assert run_order(store) == ["s000", "s001", "s002", "neighbour"]


def test_between_two_suspects_the_turn_is_kept(store: JobStore, clock: Clock) -> None:
    suspects(store, clock, 2)
    first = the_suspect_of(store, "worker-1")
    clock.advance(20 * MINUTE_MS)
    settle(store, first)
    assert asked_to_become_empty(store, ["worker-2"]) == []
    assert ids(fetch(store, "worker-1")) == ["s001"]


def test_the_oldest_suspect_of_all_queues_goes_first(store: JobStore, clock: Clock) -> None:
    store.enqueue([a_job("b", queue="reports"), a_job("a")])
    fetch(store, "dead", queues=(QUEUE, "reports"), lease_ms=1_000)
    lose(store, clock, "dead")
    assert run_order(store, queues=(QUEUE, "reports")) == ["b", "a"]


def test_one_that_kills_its_worker_alone_has_nobody_die_with_it(store: JobStore, clock: Clock) -> None:
    suspects(store, clock, 2, max_attempts=9)
    for life in ("second", "third"):
        assert ids(fetch(store, life, lease_ms=10_000)) == ["s000"]
        lose(store, clock, life)
    poison, neighbour = found(store, "s000"), found(store, "s001")
    assert (poison.state, poison.lost_leases) == (JobState.FAILED, 3)
    assert (neighbour.state, neighbour.lost_leases) == (JobState.WAITING, 1)


# What holds a suspect back


def test_a_suspect_in_a_paused_queue_waits(store: JobStore, clock: Clock) -> None:
    suspects(store, clock)
    store.enqueue([a_job("other", queue="other")])
    store.adjust(Scope(QUEUE), {"paused": True})
    assert ids(fetch(store, queues=[QUEUE, "other"])) == ["other"]
    store.adjust(Scope(QUEUE), {"paused": None})
    assert ids(fetch(store)) == ["s000"]


def test_a_suspect_of_a_paused_lane_waits_and_others_behind_it_do_not(store: JobStore, clock: Clock) -> None:
    store.enqueue([*some_jobs("paused", 120, lane="acme"), a_job("zeta", lane="zeta")])
    fetch(store, "dead", credits=200, lease_ms=10_000)
    clock.advance(8_000)
    store.register(a_worker("watching"), LONG_MS)
    clock.advance(8_000)
    while store.reclaim(3):
        pass
    store.adjust(Scope(QUEUE, "acme"), {"paused": True})
    assert run_order(store) == ["zeta"]
    assert not fetch(store, "worker-2", busy=True).suspect, "nobody becomes empty for what may not run"
    store.adjust(Scope(QUEUE, "acme"), {"paused": None})
    assert ids(fetch(store)) == ["paused000"]


def test_a_suspect_waits_while_its_queue_lane_or_gate_rests(store: JobStore, clock: Clock) -> None:
    suspects(store, clock, lane="acme", gate="imap")
    for scope in (Scope(QUEUE), Scope(QUEUE, "acme"), Scope(QUEUE, "acme", "imap")):
        store.rest(scope, 60_000, "quota")
        assert fetch(store).jobs == []
        store.wake(scope)
    store.rest(Scope(QUEUE, "acme", "smtp"), 60_000, "another gate")
    assert ids(fetch(store)) == ["s000"]


def test_a_suspect_can_be_held_by_itself(store: JobStore, clock: Clock) -> None:
    suspects(store, clock, lane="acme")
    store.enqueue([a_job("neighbour", lane="acme")])
    held = the_suspect_of(store, "worker-1")
    settle(store, held, Outcome.HELD, delay_ms=60_000, rests=RestScope.JOB, reason="quota")
    job, standing = found(store, "s000"), store.standing("s000")
    assert (job.state, job.held_until, job.held_reason) == (JobState.WAITING, clock.now + 60_000, "quota")
    assert standing is not None
    assert (standing.rest_scope, standing.rest_reason, standing.suspect) == ("job", "quota", True)
    assert (lane_of(store, "acme").resting, count(store).resting) == (1, 1), "its lane does not rest"
    assert run_order(store) == ["neighbour"]
    clock.advance(60_000)
    assert ids(fetch(store)) == ["s000"]
    assert count(store).resting == 0


def test_a_held_suspect_is_released_cancelled_or_removed_like_any_held_job(
    store: JobStore, clock: Clock
) -> None:
    suspects(store, clock, 3)
    for _ in range(3):
        settle(store, the_suspect_of(store, "worker-1"), Outcome.HELD, delay_ms=LAST_TIME - clock.now)
    assert store.promote(["s000"]) == [True]
    store.cancel(["s001"])
    assert store.remove(["s002"]) == [True]
    assert (run_order(store), count(store).resting) == (["s000"], 0)


def test_a_suspect_that_puts_its_lane_or_queue_to_rest_rests_with_it(store: JobStore, clock: Clock) -> None:
    suspects(store, clock, lane="acme")
    for scope in (RestScope.LANE, RestScope.QUEUE):
        settle(store, the_suspect_of(store, "worker-1"), Outcome.HELD, delay_ms=60_000, rests=scope)
        assert fetch(store).jobs == []
        clock.advance(60_000)
    assert ids(fetch(store)) == ["s000"]


def test_a_suspect_counts_under_caps_and_is_not_held_back_by_them(store: JobStore, clock: Clock) -> None:
    suspects(store, clock)
    rules(store, global_concurrency=1)
    store.enqueue(some_jobs("j", 2))
    assert ids(fetch(store, "worker-1")) == ["s000"]
    assert fetch(store, "worker-2").jobs == []
    assert count(store).active == 1


@pytest.mark.parametrize(
    "cap",
    [
        {"global_concurrency": 1},
        {"global_concurrency": 1, "share": "mail"},
        {"lane_concurrency": 1},
        {"gate_concurrency": 1},
    ],
)
def test_a_full_cap_is_exceeded_by_one_suspect_at_most(
    store: JobStore, clock: Clock, cap: dict[str, object]
) -> None:
    suspects(store, clock, 2, lane="acme", gate="imap")
    rules(store, **cap)
    store.enqueue([a_job("neighbour", lane="acme", gate="imap")])
    first, second, *_ = fleet(store, 8)
    suspect = the_suspect_of(store, first)
    assert fetch(store, second).jobs == [], "neither the other suspect nor the neighbour"
    settle(store, suspect, owner=first)
    assert ids(fetch(store, second)) == ["s001"]


def test_suspects_of_one_queue_fill_its_cap_together(store: JobStore, clock: Clock) -> None:
    suspects(store, clock, 4)
    rules(store, global_concurrency=2)
    given = [ids(fetch(store, owner)) for owner in fleet(store, 8)]
    assert given[:3] == [["s000"], ["s001"], []]
