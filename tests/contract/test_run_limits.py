"""Limits that count while jobs run: taken all at once or not at all, given back on every path, waited for."""

import pytest

from jobs.errors import InvalidAdjustment
from jobs.limits import (
    Algorithm,
    BreakerTerms,
    By,
    Grant,
    LimitRule,
    News,
    Terms,
    WaitScope,
    Want,
    key_of,
)
from jobs.model import FetchedJob, Outcome
from jobs.states import JobState
from jobs.store import JobStore
from tests.contract.clock import START_MS, Clock
from tests.contract.steps import (
    LONG_MS,
    QUEUE,
    a_worker,
    fetch,
    found,
    ids,
    lose,
    settle,
    some_jobs,
)

TWO_AT_ONCE = Want(key_of("mail", "acme"), "mail", Algorithm.CONCURRENCY, Terms(2), tenant="acme")
TERMS = BreakerTerms(failures=2, window_ms=10_000, open_ms=5_000, longest_ms=60_000, recover_ms=1_000)


def per_second(algorithm: Algorithm, limit: int, burst: int = 0, **changes: object) -> Want:
    want = Want(key_of("mail", "acme"), "mail", algorithm, Terms(limit, 1_000, burst), tenant="acme")
    return want._replace(**changes)  # type: ignore[arg-type]


def ask(store: JobStore, job: FetchedJob, *wants: Want, request: int = 0, patience_ms: int = 0) -> Grant:
    return store.acquire(
        "worker-1", job.id, job.token, wants, queue=QUEUE, request=request, patience_ms=patience_ms
    )


def hold(store: JobStore, job: FetchedJob) -> None:
    settle(store, job, Outcome.HELD, reason="a limit")


def running(store: JobStore, number: int) -> list[FetchedJob]:
    store.enqueue(some_jobs("j", number, lane="acme"))
    return fetch(store, credits=number).jobs


def grants(store: JobStore, jobs: list[FetchedJob], *wants: Want) -> list[bool]:
    return [ask(store, job, *wants).granted for job in jobs]


@pytest.mark.parametrize(
    ("want", "granted", "wait"),
    [
        (TWO_AT_ONCE, 2, None),
        (per_second(Algorithm.FIXED_WINDOW, 3), 3, 1_000),
        (per_second(Algorithm.SLIDING_WINDOW, 3), 3, 1_000),
        (per_second(Algorithm.TOKEN_BUCKET, 4), 4, 250),
        (per_second(Algorithm.TOKEN_BUCKET, 4, 6), 6, 250),
        (per_second(Algorithm.GCRA, 4), 1, 250),
        (per_second(Algorithm.GCRA, 4, 3), 3, 250),
    ],
    ids=lambda value: getattr(value, "algorithm", None),
)
def test_each_algorithm_gives_what_it_has_and_says_when_there_is_more(
    store: JobStore, want: Want, granted: int, wait: int | None
) -> None:
    jobs = running(store, 8)
    assert grants(store, jobs, want) == [True] * granted + [False] * (8 - granted)
    again = ask(store, jobs[granted], want)
    assert again.key == want.key
    assert wait is None or again.wait_ms == wait


def test_several_limits_are_taken_together_or_not_at_all(store: JobStore) -> None:
    first, second, third = running(store, 3)
    ten = per_second(Algorithm.SLIDING_WINDOW, 10, key=key_of("all"), rule="all", tenant="")
    assert grants(store, [first, second, third], TWO_AT_ONCE, ten) == [True, True, False]
    rule = LimitRule("all", By.GLOBAL, Algorithm.SLIDING_WINDOW, Terms(10, 1_000))
    assert [(one.used, one.left) for one in store.limit_states([rule])] == [(2, 8)]


def test_a_repeated_call_takes_nothing_twice_and_a_second_request_does(store: JobStore) -> None:
    (job,) = running(store, 1)
    assert ask(store, job, TWO_AT_ONCE, request=1).granted
    assert ask(store, job, TWO_AT_ONCE, request=1).granted
    assert ask(store, job, TWO_AT_ONCE, request=2).granted
    assert not ask(store, job, TWO_AT_ONCE, request=3).granted


def test_a_request_that_comes_late_takes_nothing_and_is_not_told_that_it_has(store: JobStore) -> None:
    (job,) = running(store, 1)
    assert ask(store, job, TWO_AT_ONCE, request=6).granted
    late = ask(store, job, TWO_AT_ONCE, request=5)
    assert (late.granted, late.lost) == (False, True)


def test_a_job_that_lacks_only_what_it_holds_itself_is_told_so(store: JobStore) -> None:
    (job,) = running(store, 1)
    both = TWO_AT_ONCE._replace(cost=2)
    assert ask(store, job, TWO_AT_ONCE, request=1).granted
    refused = ask(store, job, both, request=2)
    assert (refused.granted, refused.own, refused.key) == (False, True, TWO_AT_ONCE.key)
    store.give_back(job.id, job.token, 1, queue=QUEUE)
    assert ask(store, job, both, request=3).granted


@pytest.mark.parametrize("early", [False, True], ids=["with its delivery", "at the end of its block"])
def test_a_job_that_waits_for_anothers_permit_is_not_woken_by_its_own(store: JobStore, early: bool) -> None:
    first, second = running(store, 2)
    assert grants(store, [first, second], TWO_AT_ONCE) == [True, True]
    refused = ask(store, first, TWO_AT_ONCE, request=1)
    assert (refused.granted, refused.own) == (False, False)
    if early:
        store.give_back(first.id, first.token, 0, queue=QUEUE)
    hold(store, first)
    assert fetch(store).jobs == []
    settle(store, second)
    assert ids(fetch(store)) == [first.id]


def test_only_the_delivery_that_runs_takes(store: JobStore) -> None:
    (job,) = running(store, 1)
    assert store.acquire("worker-2", job.id, job.token, [TWO_AT_ONCE], queue=QUEUE).lost
    assert store.acquire("worker-1", job.id, job.token + 1, [TWO_AT_ONCE], queue=QUEUE).lost


@pytest.mark.parametrize("how", ["completed", "failed", "held", "leave", "reclaim", "given back"])
def test_permits_end_with_the_delivery_on_every_path(store: JobStore, clock: Clock, how: str) -> None:
    store.register(a_worker("worker-2"), LONG_MS)
    store.enqueue(some_jobs("j", 3, lane="acme"))
    held = fetch(store, credits=2, lease_ms=15_000).jobs
    assert grants(store, held, TWO_AT_ONCE) == [True, True]
    match how:
        case "completed" | "failed" | "held":
            settle(store, held[0], Outcome(how))
        case "leave":
            store.leave("worker-1")
        case "reclaim":
            lose(store, clock, "worker-1")
        case _:
            store.give_back(held[0].id, held[0].token, 0, queue=QUEUE)
    (other,) = fetch(store, "worker-2", credits=1).jobs
    assert store.acquire("worker-2", other.id, other.token, [TWO_AT_ONCE], queue=QUEUE).granted


def test_what_was_taken_before_a_run_that_was_not_is_put_back(store: JobStore) -> None:
    want = per_second(Algorithm.SLIDING_WINDOW, 1)
    first, second = running(store, 2)
    assert grants(store, [first, second], want) == [True, False]
    settle(store, first, Outcome.RETURNED)
    assert ask(store, second, want).granted


def test_what_was_taken_in_the_run_stays_counted(store: JobStore) -> None:
    want = per_second(Algorithm.TOKEN_BUCKET, 1)
    first, second = running(store, 2)
    assert ask(store, first, want, request=1).granted
    settle(store, first, Outcome.RETURNED)
    assert not ask(store, second, want).granted


def test_a_refused_job_waits_by_itself_and_spends_no_attempt(store: JobStore, clock: Clock) -> None:
    want = per_second(Algorithm.GCRA, 2)
    first, second = running(store, 2)
    assert grants(store, [first, second], want) == [True, False]
    hold(store, second)
    job = found(store, second.id)
    assert (job.state, job.attempts, job.held_until) == (JobState.WAITING, 0, START_MS + 500)
    assert fetch(store).jobs == []
    clock.advance(500)
    (again,) = fetch(store).jobs
    assert ask(store, again, want).granted


def test_jobs_that_wait_by_themselves_get_a_time_each(store: JobStore) -> None:
    jobs = running(store, 4)
    for job in jobs:
        if not ask(store, job, per_second(Algorithm.GCRA, 10)).granted:
            hold(store, job)
    untils = [found(store, job.id).held_until for job in jobs[1:]]
    assert untils == [START_MS + 100, START_MS + 200, START_MS + 300]


def test_a_permit_that_comes_free_wakes_just_one(store: JobStore) -> None:
    jobs = running(store, 5)
    assert grants(store, jobs, TWO_AT_ONCE) == [True, True, False, False, False]
    for job in jobs[2:]:
        hold(store, job)
    settle(store, jobs[0])
    assert ids(fetch(store)) == [jobs[2].id]


def test_a_permit_that_comes_free_before_the_job_is_put_back_is_not_missed(store: JobStore) -> None:
    jobs = running(store, 3)
    assert grants(store, jobs, TWO_AT_ONCE) == [True, True, False]
    settle(store, jobs[0])
    hold(store, jobs[2])
    assert ids(fetch(store)) == [jobs[2].id]


def test_a_tenant_rests_and_starts_no_more_than_may_run(store: JobStore, clock: Clock) -> None:
    want = per_second(Algorithm.TOKEN_BUCKET, 10, 1, waits=WaitScope.LANE)
    store.enqueue([*some_jobs("a", 20, lane="acme"), *some_jobs("z", 2, lane="zeta")])
    first, second = [job for job in fetch(store, credits=4).jobs if job.lane == "acme"]
    assert grants(store, [first, second], want) == [True, False]
    hold(store, second)
    assert fetch(store, credits=10).jobs == []  # the other tenant's have all started
    for _ in range(5):
        clock.advance(100)
        (one,) = fetch(store, credits=10).jobs  # and not ten of them
        assert ask(store, one, want).granted
        settle(store, one)


def test_a_tenant_that_waits_for_a_place_has_one_start_for_each(store: JobStore) -> None:
    want = TWO_AT_ONCE._replace(waits=WaitScope.LANE)
    store.enqueue(some_jobs("a", 20, lane="acme"))
    jobs = fetch(store, credits=3).jobs
    assert grants(store, jobs, want) == [True, True, False]
    hold(store, jobs[2])
    assert fetch(store).jobs == []
    for number in range(2, 10):
        settle(store, jobs[number - 2])
        (one,) = fetch(store).jobs
        assert ask(store, one, want).granted
        jobs = [*jobs[:number], one]


def test_a_queue_rests_for_its_own_limit(store: JobStore, clock: Clock) -> None:
    want = per_second(
        Algorithm.FIXED_WINDOW, 3, waits=WaitScope.QUEUE, key=key_of("q", QUEUE), rule="q", tenant=""
    )
    store.enqueue([*some_jobs("a", 9, lane="acme"), *some_jobs("z", 9, lane="zeta")])
    jobs = fetch(store, credits=4).jobs
    assert grants(store, jobs, want) == [True, True, True, False]
    hold(store, jobs[3])
    assert fetch(store).jobs == []
    clock.advance(1_000)
    jobs = fetch(store, credits=10).jobs
    assert sorted(job.lane for job in jobs) in (["acme", "acme", "zeta"], ["acme", "zeta", "zeta"])
    assert grants(store, jobs, want) == [True, True, True]


def test_a_changed_limit_holds_at_once_and_wakes_what_waits(store: JobStore) -> None:
    want = per_second(Algorithm.SLIDING_WINDOW, 1)
    jobs = running(store, 3)
    assert grants(store, jobs, want) == [True, False, False]
    hold(store, jobs[1])
    hold(store, jobs[2])
    store.set_limit("mail", "acme", {"limit": 3})
    assert store.limit_changes() == {("mail", "acme"): {"limit": 3}}
    again = fetch(store).jobs
    assert grants(store, again, want) == [True, True]
    store.set_limit("mail", "acme", {"limit": None})
    assert store.limit_changes() == {}


@pytest.mark.parametrize("changes", [{"limit": 0}, {"per_ms": True}, {"algorithm": 1}, {"burst": 1.5}])
def test_other_changes_are_refused(store: JobStore, changes: dict[str, int]) -> None:
    with pytest.raises(InvalidAdjustment):
        store.set_limit("mail", None, changes)


def test_a_job_that_costs_more_than_there_can_be_takes_all_of_it(store: JobStore) -> None:
    want = per_second(Algorithm.TOKEN_BUCKET, 4, cost=9)
    first, second = running(store, 2)
    assert ask(store, first, want).granted
    assert ask(store, second, want).wait_ms == 1_000


def test_the_state_of_a_counter_says_used_left_reset_and_waiting(store: JobStore, clock: Clock) -> None:
    rule = LimitRule("mail", By.TENANT, Algorithm.SLIDING_WINDOW, Terms(2, 1_000))
    want = per_second(Algorithm.SLIDING_WINDOW, 2)
    jobs = running(store, 3)
    assert grants(store, jobs, want) == [True, True, False]
    hold(store, jobs[2])
    (state,) = store.limit_states([rule], "acme")
    assert (state.whose, state.used, state.left, state.reset_ms, state.waiting) == ("acme", 2, 0, 1_000, 1)
    assert store.limit_states([rule], "zeta") == []


# Whoever can wait a moment


@pytest.mark.parametrize(
    "want",
    [
        per_second(Algorithm.SLIDING_WINDOW, 1),
        per_second(Algorithm.GCRA, 1),
        per_second(Algorithm.TOKEN_BUCKET, 1, 1),
    ],
    ids=lambda want: want.algorithm,
)
def test_what_will_be_there_soon_is_given_for_then(store: JobStore, clock: Clock, want: Want) -> None:
    first, second, third = running(store, 3)
    assert ask(store, first, want, patience_ms=40) == Grant(True)
    clock.advance(959)
    assert not ask(store, second, want, patience_ms=40).granted
    clock.advance(1)
    assert not ask(store, second, want, patience_ms=39).granted
    assert ask(store, second, want, patience_ms=40) == Grant(True, after_ms=40)
    # It counts from then on, as if it had been taken then.
    clock.advance(40)
    assert ask(store, third, want).wait_ms == 1_000


def test_a_rate_of_no_whole_milliseconds_loses_nothing(store: JobStore, clock: Clock) -> None:
    want = per_second(Algorithm.GCRA, 300)
    jobs = running(store, 31)
    assert ask(store, jobs[0], want).granted
    starts = []
    for job in jobs[1:]:
        starts.append(clock.now + ask(store, job, want, patience_ms=40).after_ms)
        clock.advance(3)
    assert starts == [pytest.approx(START_MS + number * 10 / 3, abs=0.04) for number in range(1, 31)]


def test_of_a_window_that_has_not_begun_nothing_is_given(store: JobStore, clock: Clock) -> None:
    fixed = per_second(Algorithm.FIXED_WINDOW, 1)
    spaced = per_second(Algorithm.GCRA, 1, key=key_of("q"), rule="q", tenant="")
    first, second = running(store, 2)
    clock.advance(10)
    assert ask(store, first, spaced).granted
    clock.advance(980)
    assert not ask(store, second, fixed, spaced, patience_ms=60).granted


@pytest.mark.parametrize("algorithm", [Algorithm.SLIDING_WINDOW, Algorithm.GCRA])
def test_what_was_given_for_later_is_put_back_when_the_job_does_not_run(
    store: JobStore, clock: Clock, algorithm: Algorithm
) -> None:
    want = per_second(algorithm, 1)
    first, second, third = running(store, 3)
    assert ask(store, first, want).granted
    clock.advance(980)
    assert ask(store, second, want, patience_ms=40).after_ms == 20
    settle(store, second, Outcome.RETURNED)
    assert ask(store, third, want, patience_ms=40).after_ms == 20


def test_a_scope_goes_on_a_moment_early_so_that_nothing_is_lost_on_the_way(
    store: JobStore, clock: Clock
) -> None:
    want = per_second(Algorithm.GCRA, 10, waits=WaitScope.LANE)
    store.enqueue(some_jobs("a", 20, lane="acme"))
    first, second = fetch(store, credits=2).jobs
    assert ask(store, first, want, patience_ms=40).granted
    assert not ask(store, second, want, patience_ms=40).granted
    hold(store, second)
    clock.advance(79)
    assert fetch(store).jobs == []
    for _ in range(5):
        clock.advance(1)
        (one,) = fetch(store, credits=10).jobs
        assert ask(store, one, want, patience_ms=40) == Grant(True, after_ms=20)
        settle(store, one)
        clock.advance(99)


def test_counters_come_in_the_order_of_their_places_from_any_of_them_on(store: JobStore) -> None:
    rules = [
        LimitRule(name, By.TENANT, Algorithm.SLIDING_WINDOW, Terms(2, 1_000)) for name in ("b", "a", "a-b")
    ]
    places = [(rule.name, whose, tenant) for rule in rules for whose in "xy" for tenant in ("acme", "zeta")]
    for place, job in zip(places, running(store, len(places)), strict=True):
        rule, whose, tenant = place
        want = per_second(Algorithm.SLIDING_WINDOW, 2, key=key_of(rule, whose), rule=rule, tenant=tenant)
        assert ask(store, job, want).granted
    assert [one.place for one in store.limit_states(rules)] == sorted(places)
    for number, place in enumerate(sorted(places), start=1):
        behind = store.limit_states(rules, limit=2, after=place)
        assert [one.place for one in behind] == sorted(places)[number : number + 2]
    assert [one.place for one in store.limit_states(rules, "acme", 3)] == [
        place for place in sorted(places) if place[2] == "acme"
    ][:3]


# Providers


def provider(waits: WaitScope = WaitScope.JOB) -> Want:
    return Want(key_of("provider", "gmail"), "provider", Algorithm.BREAKER, Terms(1), waits=waits)


def fail(store: JobStore, news: News = News.FAILED, *, probe: bool = False) -> str:
    return store.provider_news("gmail", news, TERMS, queue=QUEUE, probe=probe).state


def test_a_breaker_opens_lets_one_try_and_closes_when_that_worked(store: JobStore, clock: Clock) -> None:
    jobs = running(store, 4)
    assert ask(store, jobs[0], provider()) == Grant(True)
    assert (fail(store), fail(store)) == ("closed", "open")
    assert ask(store, jobs[1], provider()).wait_ms == 5_000
    clock.advance(5_000)
    assert ask(store, jobs[1], provider()).probe
    assert not ask(store, jobs[2], provider()).granted
    hold(store, jobs[2])
    assert fail(store, News.WORKED, probe=True) == "closed"
    assert ids(fetch(store)) == [jobs[2].id]
    assert ask(store, jobs[3], provider()) == Grant(True)


def test_a_probe_that_fails_keeps_it_open_for_twice_as_long(store: JobStore, clock: Clock) -> None:
    (job,) = running(store, 1)
    assert (fail(store), fail(store)) == ("closed", "open")
    clock.advance(5_000)
    assert ask(store, job, provider()).probe
    assert fail(store, probe=True) == "open"
    assert store.provider_states(["gmail"])[0].open_until == clock.now + 10_000


def test_what_began_before_it_opened_says_nothing_while_one_tries(store: JobStore, clock: Clock) -> None:
    (job,) = running(store, 1)
    assert (fail(store), fail(store)) == ("closed", "open")
    clock.advance(5_000)
    assert ask(store, job, provider()).probe
    for news in News:
        assert fail(store, news) == "half-open"
    assert fail(store, News.WORKED, probe=True) == "closed"


def test_a_probe_that_is_lost_leaves_its_turn_to_another(store: JobStore, clock: Clock) -> None:
    first, second = running(store, 2)
    assert (fail(store), fail(store)) == ("closed", "open")
    clock.advance(5_000)
    assert ask(store, first, provider()).probe
    settle(store, first, Outcome.RETURNED)
    assert ask(store, second, provider()).probe


def test_failures_that_are_far_apart_open_nothing(store: JobStore, clock: Clock) -> None:
    assert fail(store) == "closed"
    clock.advance(10_001)
    assert fail(store) == "closed"


def test_a_reset_closes_it_at_once(store: JobStore) -> None:
    (job,) = running(store, 1)
    assert (fail(store), fail(store)) == ("closed", "open")
    store.reset_provider("gmail")
    assert ask(store, job, provider()) == Grant(True)


def test_an_overload_halves_the_rate_which_grows_again_to_the_configured_one(
    store: JobStore, clock: Clock
) -> None:
    rate = per_second(Algorithm.FIXED_WINDOW, 8, slows=key_of("provider", "gmail"))
    rule = LimitRule(
        "mail", By.GLOBAL, Algorithm.FIXED_WINDOW, Terms(8, 1_000), slows=key_of("provider", "gmail")
    )
    (job,) = running(store, 1)
    assert ask(store, job, rate).granted
    fail(store, News.OVERLOADED)
    shares = []
    for _ in range(7):
        shares.append((store.provider_states(["gmail"])[0].share, store.limit_states([rule])[0].terms.limit))
        clock.advance(1_000)
    assert shares == [(0.5, 4), (0.6, 4), (0.7, 5), (0.8, 6), (0.9, 7), (1.0, 8), (1.0, 8)]


def test_overloads_that_come_together_count_once(store: JobStore) -> None:
    for _ in range(5):
        fail(store, News.OVERLOADED)
    assert store.provider_states(["gmail"])[0].share == 0.5
